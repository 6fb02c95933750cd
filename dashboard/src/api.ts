//! The REST interface. Every answer is a value, refusals too; nothing here throws for what a server or a network does.
import type { ActRequest, AlertDetail, AlertView, AlertsPage, BulkAnswer, BulkRequest, Catalog, Explanation, LatePage, Me, PipelinesNow, Problem, RedriveRequest, RedrivenView, RejectedPage, SourceView, SourcesNow, Timeline, Trend } from './wire';
import { pastQuery, type Past } from './route';

export type Answer<T> =
  | { ok: true; status: number; value: T }
  | { ok: false; status: number; /** 0: no answer at all. */ problem: Problem | null; body: unknown };

const PATIENCE = 10_000;
/** A verdict is waited for up to 10 s. */
const REDRIVE_PATIENCE = 20_000;

async function call<T>(method: string, path: string, body?: unknown, patience = PATIENCE): Promise<Answer<T>> {
  try {
    const response = await fetch(path, {
      method,
      credentials: 'same-origin',
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(patience),
    });
    const text = await response.text();
    let value: unknown = null;
    try {
      value = text === '' ? null : JSON.parse(text);
    } catch {
      return { ok: false, status: response.ok ? 0 : response.status, problem: null, body: null };
    }
    if (response.ok) return { ok: true, status: response.status, value: value as T };
    return { ok: false, status: response.status, problem: isProblem(value) ? value : null, body: value };
  } catch {
    return { ok: false, status: 0, problem: null, body: null };
  }
}

function isProblem(value: unknown): value is Problem {
  return typeof value === 'object' && value !== null && 'message' in value && 'code' in value;
}

export interface AreaProperties { code: string; name: string; level: string; parent: string | null }
export type Ring = [number, number][];
export interface AreaFeature {
  type: 'Feature';
  properties: AreaProperties;
  geometry: { type: 'Polygon'; coordinates: Ring[] } | { type: 'MultiPolygon'; coordinates: Ring[][] };
}
export interface AreaCollection { type: 'FeatureCollection'; features: AreaFeature[] }

export const getMe = () => call<Me>('GET', '/api/v1/me');
export const getCatalog = () => call<Catalog>('GET', '/api/v1/catalog');
export const getAreas = () => call<AreaCollection>('GET', '/api/v1/areas');
/** All pages of the list, one after another. */
export async function getAllSources(troubled: boolean): Promise<Answer<SourceView[]>> {
  const all: SourceView[] = [];
  for (let after = ''; ;) {
    const query = new URLSearchParams({ ...(troubled ? { troubled: 'true' } : {}), ...(after === '' ? {} : { after }) });
    const answer = await call<SourcesNow>('GET', `/api/v1/sources?${query}`);
    if (!answer.ok) return answer;
    all.push(...answer.value.sources);
    after = answer.value.more ? answer.value.sources.at(-1)?.id ?? '' : '';
    if (after === '') return { ok: true, status: 200, value: all };
  }
}
export const act = (id: string, request: ActRequest) => call<AlertView>('POST', `/api/v1/alerts/${encodeURIComponent(id)}/act`, request);
export const actOnMany = (request: BulkRequest) => call<BulkAnswer>('POST', '/api/v1/alerts/act', request);
export const getAlert = (id: string) => call<AlertDetail>('GET', `/api/v1/alerts/${encodeURIComponent(id)}`);
/** How long a small question and its answer take, in ms; `null`: no answer. */
export async function measureRoundTrip(): Promise<number | null> {
  const begun = performance.now();
  try {
    const answer = await fetch('/healthz', { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) });
    return answer.ok ? performance.now() - begun : null;
  } catch {
    return null;
  }
}
export const getTimeline = () => call<Timeline>('GET', '/api/v1/timeline');
export const getPipelines = () => call<PipelinesNow>('GET', '/api/v1/pipelines');
export const explainWindow = (pipeline: string, measurement: string) => call<Explanation>('GET', `/api/v1/pipelines/${encodeURIComponent(pipeline)}/explain?${new URLSearchParams({ measurement })}`);
export const getRejected = (limit: number) => call<RejectedPage>('GET', `/api/v1/rejected?limit=${limit}`);
export const getLate = (source: string, limit: number) => call<LatePage>('GET', `/api/v1/late?${new URLSearchParams({ source, limit: String(limit) })}`);
export const redrive = (number: number, name: string | null) => call<RedrivenView[]>('POST', '/api/v1/rejected/redrive', { numbers: [number], reason: null, since: null, again: true, name } satisfies RedriveRequest, REDRIVE_PATIENCE);
export function getHistory(past: Past, after: string | null, limit: number) {
  const query = pastQuery(past);
  query.set('limit', String(limit));
  if (after !== null) query.set('after', after);
  return call<AlertsPage>('GET', `/api/v1/alerts/history?${query}`);
}
export const signIn = (token: string) => call<null>('POST', '/api/v1/session', { token });
export const signOut = () => call<null>('DELETE', '/api/v1/session');

export function getTrend(measurement: string, field: string, key: { [tag in string]?: string }, from: number, to: number) {
  const query = new URLSearchParams({ measurement, field, from: String(from), to: String(to) });
  for (const [tag, value] of Object.entries(key)) if (value !== undefined) query.set(`tag.${tag}`, value);
  return call<Trend>('GET', `/api/v1/trend?${query}`);
}
