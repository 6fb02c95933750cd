//! Words of the page in both languages. Refuses to know where the language is kept.
import type { Lang } from '../format';
import { en } from './en';
import { vi, type Key } from './vi';

export type { Key };
export const dictionaries: Record<Lang, Record<Key, string>> = { vi, en };

/** Fills `{name}` and chooses `{n:one|other}` by the number in `n`. */
export function fill(pattern: string, params: Record<string, string | number>): string {
  return pattern.replace(/\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g, (whole, name: string, one?: string, other?: string) => {
    const value = params[name];
    if (value === undefined) return whole;
    if (one === undefined) return String(value);
    return (Number(value) === 1 ? one : other) ?? '';
  });
}

export function translate(lang: Lang, key: Key, params?: Record<string, string | number>): string {
  const pattern = dictionaries[lang][key];
  return params ? fill(pattern, params) : pattern;
}
