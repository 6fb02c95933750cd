//! One area: its open alerts and its figures, each with its age, completeness and unit.
import { formatAge, formatMoment, formatValue, freshness } from '../format';
import { fieldName, measurementName } from '../i18n/names';
import { keyOf } from '../live/board';
import { compareAlerts } from '../live/queue';
import { areaNames, catalog, figureChoice, figures, lang, measurements, now, select, t, zone } from '../store';
import { Shape, lookOf } from '../ui/shape';
import type { FigureView } from '../wire';
import { CloseButton, chooseFigure, openAlertsOf } from './Detail';
import { keyWords, unitOf } from './figure';
import { Lines } from './PlaceFigures';

const MAX_FIGURES = 60;

export function AreaDetail({ code }: { code: string }) {
  const name = areaNames.value.get(code) ?? code;
  const open = openAlertsOf(code).sort(compareAlerts);
  const group = catalog.value?.groups.find((g) => g.code === code);
  const groups = group ? [] : groupsOf(code);
  return (
    <div class="scroll" data-testid="detail-area" data-area={code}>
      <header class="detail-head">
        <CloseButton />
        <h2>{name}</h2>
        <p class="quiet">{code}</p>
      </header>
      <section>
        <h3>{t('detail.area_alerts')}</h3>
        {open.length === 0 && <p class="quiet">{t('detail.area_no_alerts')}</p>}
        <ul class="plain">
          {open.map((a) => (
            <li key={a.id}>
              <button type="button" class="line" onClick={() => select({ kind: 'alert', id: a.id })}>
                <Shape severity={a.severity} look={lookOf(a)} /> <span class="grow">{a.title[lang.value]}</span> <span class="quiet">{formatMoment(a.since, now.value, zone.value)}</span>
              </button>
            </li>
          ))}
        </ul>
      </section>
      <section>
        <h3>{t('detail.figures')}</h3>
        {group && <Lines place={{ members: new Set(group.members) }} measurements={catalog.value?.measurements ?? []} />}
        {!group && groups.length === 0 && <><p>{t('detail.no_figures')}</p><p class="quiet">{t('detail.no_figures_next')}</p></>}
        {groups.map(([measurement, list]) => <Group key={measurement} measurement={measurement} list={list} />)}
      </section>
      {group && (
        <section data-testid="members">
          <h3>{t('era.members', { n: group.members.length })}</h3>
          <ul class="plain">{group.members.map((member) => <li key={member}><button type="button" class="line" onClick={() => select({ kind: 'area', code: member })}>{areaNames.value.get(member) ?? member}</button></li>)}</ul>
        </section>
      )}
    </div>
  );
}

function groupsOf(code: string): [string, FigureView[]][] {
  const out: [string, FigureView[]][] = [];
  for (const [measurement, of] of figures.value) {
    const list = [...of.values()].filter((f) => f.area?.code === code);
    if (list.length > 0) out.push([measurement, list.sort((a, b) => (keyOf(a.key) < keyOf(b.key) ? -1 : 1))]);
  }
  return out.sort(([a], [b]) => (a < b ? -1 : 1));
}

function Group({ measurement, list }: { measurement: string; list: FigureView[] }) {
  const m = measurements.value.get(measurement);
  const fields = (m?.fields.map((f) => f.field) ?? Object.keys(list[0]?.values ?? {})).filter((f) => f !== 'count').slice(0, 3);
  return (
    <table class="values figures" data-testid="figures" data-measurement={measurement}>
      <caption>{measurementName(measurement, lang.value)}</caption>
      <thead>
        <tr><td /> {fields.map((f) => <th key={f} scope="col" class="number">{fieldName(f, lang.value)}</th>)}</tr>
      </thead>
      <tbody>{list.slice(0, MAX_FIGURES).map((figure) => <Line key={keyOf(figure.key)} figure={figure} fields={fields} every={m?.every_ms ?? 0} />)}</tbody>
      {list.length > MAX_FIGURES && <tfoot><tr><td colSpan={fields.length + 1} class="quiet">{t('detail.more_figures', { n: list.length - MAX_FIGURES })}</td></tr></tfoot>}
    </table>
  );
}

function Line({ figure, fields, every }: { figure: FigureView; fields: string[]; every: number }) {
  const fresh = freshness(figure.end, every, now.value);
  const chosen = figureChoice.value;
  const key: Record<string, string> = {};
  for (const [tag, value] of Object.entries(figure.key)) if (value !== undefined) key[tag] = value;
  const mine = chosen?.measurement === figure.measurement && keyOf(chosen.key) === keyOf(figure.key);
  return (
    <tr class={fresh}>
      <th scope="row">
        {keyWords(figure.key) || measurementName(figure.measurement, lang.value)}
        {figure.heard !== null && figure.expected !== null && <span class="quiet"> {t('detail.heard', { heard: figure.heard, expected: figure.expected })}</span>}
        {figure.approx && <span class="quiet"> {t('detail.approx')}</span>}
        {fresh !== 'fresh' && <span class="quiet age"> {formatAge(figure.end, now.value, zone.value, lang.value)}</span>}
      </th>
      {fields.map((field) => (
        <td key={field} class="number">
          <button type="button" class={`figure${mine && chosen?.field === field ? ' chosen' : ''}`} onClick={() => chooseFigure(figure.measurement, field, key)}
            aria-label={`${keyWords(figure.key)} ${fieldName(field, lang.value)} ${formatValue(figure.values[field], unitOf(figure.measurement, field), lang.value)}`}>
            {figure.approx && figure.values[field] !== undefined ? '≈ ' : ''}{formatValue(figure.values[field], unitOf(figure.measurement, field), lang.value)}
          </button>
        </td>
      ))}
    </tr>
  );
}
