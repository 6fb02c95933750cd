//! Where an area's name stands: the point inside its largest polygon that is farthest from the border, of a grid. Pure.
import type { AreaFeature, Ring } from '../api';

export type Box = [west: number, south: number, east: number, north: number];

function polygonsOf(feature: AreaFeature): Ring[][] {
  return feature.geometry.type === 'Polygon' ? [feature.geometry.coordinates] : feature.geometry.coordinates;
}

export function boxOf(features: readonly AreaFeature[]): Box {
  const box: Box = [180, 90, -180, -90];
  for (const feature of features) {
    for (const polygon of polygonsOf(feature)) {
      for (const [x, y] of polygon[0] ?? []) {
        box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y);
        box[2] = Math.max(box[2], x); box[3] = Math.max(box[3], y);
      }
    }
  }
  return box;
}

function ringArea(ring: Ring): number {
  let sum = 0;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [x1, y1] = ring[j] ?? [0, 0];
    const [x2, y2] = ring[i] ?? [0, 0];
    sum += x1 * y2 - x2 * y1;
  }
  return Math.abs(sum) / 2;
}

/** Squared distance to the nearest border, negative outside. */
function depth(rings: readonly Ring[], x: number, y: number): number {
  let inside = false;
  let nearest = Infinity;
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [x1, y1] = ring[i] ?? [0, 0];
      const [x2, y2] = ring[j] ?? [0, 0];
      if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
      const dx = x2 - x1;
      const dy = y2 - y1;
      const along = dx === 0 && dy === 0 ? 0 : Math.max(0, Math.min(1, ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy)));
      nearest = Math.min(nearest, (x1 + along * dx - x) ** 2 + (y1 + along * dy - y) ** 2);
    }
  }
  return inside ? nearest : -nearest;
}

export interface Anchor { at: [number, number]; size: number }
const GRID = 12;

export function anchorOf(feature: AreaFeature): Anchor {
  let rings: Ring[] = [];
  let size = -1;
  for (const polygon of polygonsOf(feature)) {
    const area = ringArea(polygon[0] ?? []);
    if (area > size) { size = area; rings = polygon; }
  }
  const box = boxOf([{ ...feature, geometry: { type: 'Polygon', coordinates: rings } }]);
  let best: [number, number] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  let deepest = -Infinity;
  for (let i = 0; i < GRID; i++) {
    for (let j = 0; j < GRID; j++) {
      const x = box[0] + ((i + 0.5) / GRID) * (box[2] - box[0]);
      const y = box[1] + ((j + 0.5) / GRID) * (box[3] - box[1]);
      const d = depth(rings, x, y);
      if (d > deepest) { deepest = d; best = [x, y]; }
    }
  }
  return { at: best, size };
}
