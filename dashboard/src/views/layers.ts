//! The measurement drawn over the areas, as signals: chosen field, values by area, steps.
import { computed } from '@preact/signals';
import { defaultAggregate, niceBreaks, valuesByArea, type Aggregate, type AreaValue } from '../live/layer';
import { coarseNow, figures, layer, measurements } from '../store';
import type { FieldView, MeasurementView } from '../wire';

export interface Drawn { measurement: MeasurementView; field: FieldView; aggregate: Aggregate; values: Map<string, AreaValue>; breaks: number[] }

export const drawn = computed<Drawn | null>(() => {
  const chosen = layer.value;
  if (!chosen) return null;
  const measurement = measurements.value.get(chosen.measurement);
  const field = measurement?.fields.find((f) => f.field === chosen.field);
  if (!measurement || !field) return null;
  const aggregate = chosen.aggregate ?? defaultAggregate(field);
  const values = valuesByArea(figures.value.get(chosen.measurement), measurement, field.field, aggregate, coarseNow.value);
  return { measurement, field, aggregate, values, breaks: niceBreaks([...values.values()].map((v) => v.value)) };
});
