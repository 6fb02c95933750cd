//! The areas as a table, worst first: in place of the map, or by choice.
import { formatAge, formatValue } from '../format';
import { fieldName } from '../i18n/names';
import { rankOf } from '../live/queue';
import { byArea, lang, now, places, select, selection, t, zone } from '../store';
import { Shape } from '../ui/shape';
import { drawn } from './layers';

export function AreaTable() {
  const d = drawn.value;
  const collator = new Intl.Collator('vi');
  const rows = places.value.map((a) => ({ code: a.code, name: a.name[lang.value], state: byArea.value.get(a.code), value: d?.values.get(a.code) }));
  rows.sort((a, b) => (a.state ? rankOf(a.state.worst) : 9) - (b.state ? rankOf(b.state.worst) : 9) || (b.state?.open ?? 0) - (a.state?.open ?? 0) || collator.compare(a.name, b.name));
  return (
    <div class="table-frame" tabIndex={0} role="region" aria-label={t('map.as_table')}>
      <table class="values areas" data-testid="area-table">
        <thead>
          <tr>
            <th scope="col">{t('table.area')}</th>
            <th scope="col">{t('table.worst')}</th>
            <th scope="col" class="number">{t('table.alerts')}</th>
            {d && <th scope="col" class="number">{fieldName(d.field.field, lang.value)}{d.field.unit ? ` (${d.field.unit})` : ''}</th>}
            {d && <th scope="col" class="number">{t('table.age')}</th>}
          </tr>
        </thead>
        <tbody>
          {rows.map((r) => (
            <tr key={r.code} class={selection.value?.kind === 'area' && selection.value.code === r.code ? 'chosen' : ''}>
              <th scope="row"><button type="button" class="linkish" onClick={() => select({ kind: 'area', code: r.code })}>{r.name}</button></th>
              <td>{r.state && <><Shape severity={r.state.worst} look={r.state.unacknowledged > 0 ? 'filled' : 'outline'} size={12} /> {t(`severity.${r.state.worst}`)}</>}</td>
              <td class="number">{r.state?.open ?? ''}</td>
              {d && <td class={`number ${r.value?.freshness ?? ''}`}>{r.value ? formatValue(r.value.value, d.field.unit, lang.value) : '–'}</td>}
              {d && <td class="number quiet">{r.value ? formatAge(r.value.end, now.value, zone.value, lang.value) : ''}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
