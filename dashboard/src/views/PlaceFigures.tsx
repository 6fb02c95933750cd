//! The figures of a place put together: one line a field.
import { formatAge, formatValue } from '../format';
import { fieldName, measurementName } from '../i18n/names';
import { figureLines, type FigureLine } from '../live/places';
import { coarseNow, figures, lang, select, t, zone } from '../store';
import type { MeasurementView } from '../wire';

export function Lines({ place, measurements }: { place: { members: ReadonlySet<string> }; measurements: readonly MeasurementView[] }) {
  const lines = figureLines(figures.value, measurements, place.members, coarseNow.value);
  const [only] = place.members;
  if (lines.length === 0) return <p class="quiet place-none">{t('detail.no_figures')}</p>;
  return (
    <>
      <table class="values">
        <caption class="visually-hidden">{t('detail.figures')}</caption>
        <tbody>{lines.map((line) => <Line key={`${line.measurement.measurement}.${line.field.field}`} line={line} />)}</tbody>
      </table>
      {place.members.size === 1 && only !== undefined && <button type="button" class="linkish" onClick={() => select({ kind: 'area', code: only })}>{t('local.each')}</button>}
    </>
  );
}

function Line({ line }: { line: FigureLine }) {
  const name = measurementName(line.measurement.measurement, lang.value);
  const field = fieldName(line.field.field, lang.value);
  const notes = [
    line.keys > 1 ? t('local.of', { how: t(`map.aggregate.${line.aggregate}`), n: line.keys }) : '',
    line.heard !== null && line.expected !== null ? t('detail.heard', { heard: line.heard, expected: line.expected }) : '',
    line.provisional ? t('state.provisional') : '',
    line.freshness !== 'fresh' ? formatAge(line.end, coarseNow.value, zone.value, lang.value) : '',
  ].filter((w) => w !== '');
  return (
    <tr class={line.freshness}>
      <th scope="row">{name}{name.toLowerCase() !== field.toLowerCase() ? `: ${field}` : ''}{notes.length > 0 && <span class="quiet notes"> {notes.join(' · ')}</span>}</th>
      <td class="number">{line.approx ? '≈ ' : ''}{formatValue(line.value, line.field.unit, lang.value)}</td>
    </tr>
  );
}

