import { describe, expect, it } from 'vitest';
import { readFileSync, readdirSync } from 'node:fs';
import { dictionaries, fill, translate, type Key } from '../src/i18n';

const keys = Object.keys(dictionaries.vi) as Key[];
const params = (text: string): string[] => [...new Set([...text.matchAll(/\{(\w+)/g)].map((m) => m[1] ?? ''))].sort();

describe('words', () => {
  it('are the same keys in both languages, none empty', () => {
    expect(Object.keys(dictionaries.en).sort()).toEqual([...keys].sort());
    for (const key of keys) expect([key, dictionaries.vi[key].trim() !== '' && dictionaries.en[key].trim() !== '']).toEqual([key, true]);
  });
  it('take the same parameters', () => {
    for (const key of keys) expect([key, params(dictionaries.vi[key])]).toEqual([key, params(dictionaries.en[key])]);
  });
  it('are composed Unicode (NFC), so that stacked marks draw as one letter', () => {
    for (const key of keys) expect(dictionaries.vi[key]).toBe(dictionaries.vi[key].normalize('NFC'));
  });
  it('have no line in capitals only, but the sign of a replay', () => {
    for (const lang of ['vi', 'en'] as const) for (const key of keys.filter((k) => k !== 'replay.sign')) expect(dictionaries[lang][key]).not.toMatch(/^\p{Lu}{2}[\p{Lu}\s]{3,}$/u);
  });
  it('are all used', () => {
    const files = (readdirSync('src', { recursive: true }) as string[]).filter((f) => /\.tsx?$/.test(f) && !f.startsWith('i18n'));
    const code = files.map((f) => readFileSync(`src/${f}`, 'utf8')).join('\n');
    const used = (key: string): boolean => code.includes(`'${key}'`) || code.includes(`\`${key.slice(0, key.lastIndexOf('.') + 1)}\${`);
    expect(keys.filter((key) => !used(key))).toEqual([]);
  });
  it('fill parameters and choose by number', () => {
    expect(translate('en', 'queue.fresh', { n: 1 })).toBe('1 new alert ↑');
    expect(translate('en', 'queue.fresh', { n: 3 })).toBe('3 new alerts ↑');
    expect(translate('vi', 'queue.fresh', { n: 3 })).toBe('3 cảnh báo mới ↑');
    expect(fill('{a} {b}', { a: '$&' })).toBe('$& {b}');
  });
});
