//! The measurement drawn over the areas, as signals: chosen field, values by area, steps.
import { computed } from '@preact/signals';
import { aggregatesOf, niceBreaks, valuesByArea, type Aggregate, type AreaValue } from '../live/layer';
import { coarseNow, era, figures, layer, measurements, placeOf } from '../store';
import type { FieldView, MeasurementView } from '../wire';

export interface Drawn { measurement: MeasurementView; field: FieldView; aggregate: Aggregate; values: Map<string, AreaValue>; breaks: number[] }

export const drawn = computed<Drawn | null>(() => {
  const chosen = layer.value;
  if (!chosen) return null;
  const measurement = measurements.value.get(chosen.measurement);
  const field = measurement?.fields.find((f) => f.field === chosen.field);
  if (!measurement || !field) return null;
  const possible = aggregatesOf(field, era.value === 'former');
  const aggregate = possible.find((a) => a === chosen.aggregate) ?? possible[0] ?? 'max';
  const values = valuesByArea(figures.value.get(chosen.measurement), measurement, field.field, aggregate, coarseNow.value, placeOf.value);
  return { measurement, field, aggregate, values, breaks: niceBreaks([...values.values()].map((v) => v.value)) };
});
