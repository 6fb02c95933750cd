//! The middle of the desk: the map, or the table in its place, and the layer menu.
import { useSignal } from '@preact/signals';
import { fieldName, measurementName } from '../i18n/names';
import { AGGREGATES, aggregatesOf } from '../live/layer';
import { areas, areasFailed, catalog, era, lang, layer, t } from '../store';
import { AreaTable } from './AreaTable';
import { drawn } from './layers';
import { MapDrawing, useAreas, webgl } from './MapDrawing';

export function MapPane() {
  useAreas();
  const failed = useSignal(false);
  const table = useSignal(false);
  const canMap = webgl && !failed.value;
  const asTable = table.value || !canMap;
  return (
    <section class="map-pane" aria-label={t('map.title')} data-testid="map" data-mode={asTable ? 'table' : 'map'}>
      <div class="map-bar">
        <LayerMenu />
        <span class="stretch" />
        {canMap && <button type="button" class="chip" data-testid="map-mode" onClick={() => { table.value = !table.value; }}>{asTable ? t('map.as_map') : t('map.as_table')}</button>}
      </div>
      {!canMap && <p class="notice">{t(webgl ? 'map.failed' : 'map.no_webgl')}</p>}
      {catalog.value !== null && catalog.value.areas.length === 0
        ? <p class="say">{t('map.no_areas')}</p>
        : asTable
          ? <AreaTable />
          : areas.value === null
            ? <p class="say quiet">{areasFailed.value ? t('map.areas_failed') : t('map.loading')}</p>
            : <MapDrawing onFailed={() => { failed.value = true; }} />}
    </section>
  );
}

function LayerMenu() {
  const value = layer.value ? `${layer.value.measurement}.${layer.value.field}` : '';
  const d = drawn.value;
  return (
    <>
      <label class="menu">
        <span class="quiet">{t('map.layer')}</span>
        <select data-testid="layer" value={value} onChange={(e) => {
          const [measurement, field] = e.currentTarget.value.split('.');
          layer.value = measurement && field ? { measurement, field, aggregate: null } : null;
        }}>
          <option value="">{t('map.layer.alerts')}</option>
          {catalog.value?.measurements.filter((m) => m.tags.includes('area')).map((m) => (
            <optgroup key={m.measurement} label={measurementName(m.measurement, lang.value)}>
              {m.fields.map((f) => <option key={f.field} value={`${m.measurement}.${f.field}`}>{fieldName(f.field, lang.value)}{f.unit ? ` (${f.unit})` : ''}</option>)}
            </optgroup>
          ))}
        </select>
      </label>
      {d && layer.value && (
        <label class="menu">
          <span class="quiet">{t('map.aggregate')}</span>
          <select data-testid="aggregate" value={d.aggregate} onChange={(e) => {
            const aggregate = AGGREGATES.find((a) => a === e.currentTarget.value) ?? null;
            if (layer.value) layer.value = { ...layer.value, aggregate };
          }}>
            {aggregatesOf(d.field, era.value === 'former').map((a) => <option key={a} value={a}>{t(`map.aggregate.${a}`)}</option>)}
          </select>
        </label>
      )}
    </>
  );
}
