import { describe, expect, it } from 'vitest';
import { fold, formatAge, formatClock, formatDate, formatMoment, formatNumber, formatSpan, formatTime, formatValue, freshness, shortAreaName } from '../src/format';

const ZONE = 'Asia/Ho_Chi_Minh';
const AT = Date.UTC(2026, 0, 14, 18, 5, 9);
const plain = (text: string): string => text.replace(/[  ]/g, ' ');

describe('numbers', () => {
  it.each([
    [1234.5, '1.234,5', '1,234.5'], [1234567, '1.234.567', '1,234,567'], [0.125, '0,13', '0.13'], [9.876, '9,88', '9.88'], [12.34, '12,3', '12.3'], [-3, '-3', '-3'], [0, '0', '0'], [NaN, '–', '–'],
  ])('%s', (value, vi, en) => {
    expect([formatNumber(value, 'vi'), formatNumber(value, 'en')]).toEqual([vi, en]);
  });
  it('never stand without their unit', () => {
    expect(plain(formatValue(31.5, 'km/h', 'vi'))).toBe('31,5 km/h');
    expect(formatValue(31.5, '%', 'vi')).toBe('31,5%');
    expect(plain(formatValue(31.5, 'ug/m3', 'vi'))).toBe('31,5 µg/m³');
    expect(formatValue(31, '', 'en')).toBe('31');
    expect(formatValue(undefined, 'm', 'vi')).toBe('–');
  });
});

describe('times', () => {
  it('are those of the area', () => {
    expect([formatTime(AT, ZONE), formatClock(AT, ZONE), formatDate(AT, ZONE)]).toEqual(['01:05', '01:05:09', '15/01/2026']);
    expect(formatTime(Date.UTC(2026, 0, 14, 17), ZONE)).toBe('00:00');
  });
  it('carry the day when it is another one', () => {
    expect(formatMoment(AT, AT + 60_000, ZONE)).toBe('01:05');
    expect(formatMoment(AT, AT + 86_400_000, ZONE)).toBe('15/01 01:05');
  });
  it.each([
    [0, 'vừa xong', 'just now'], [9_999, 'vừa xong', 'just now'], [47_000, '45 giây trước', '45 s ago'], [60_000, '1 phút trước', '1 min ago'], [3_599_999, '59 phút trước', '59 min ago'], [3_600_000, '01:05', '01:05'], [-5_000, 'vừa xong', 'just now'],
  ])('age of %s ms', (ms, vi, en) => {
    expect([formatAge(AT, AT + ms, ZONE, 'vi'), formatAge(AT, AT + ms, ZONE, 'en')]).toEqual([vi, en]);
  });
  it.each([[3_000, '3 giây', '3 s'], [120_000, '2 phút', '2 min'], [3_900_000, '1 giờ 5 phút', '1 h 5 min'], [90_061_000, '1 ngày 1 giờ', '1 d 1 h'], [59_600, '1 phút', '1 min']])('span of %s ms', (ms, vi, en) => {
    expect([plain(formatSpan(ms, 'vi')), plain(formatSpan(ms, 'en'))]).toEqual([vi, en]);
  });
});

describe('names', () => {
  it('fold without diacritics', () => {
    expect(fold('Đắk Nông, Phường Đông Gia Nghĩa')).toBe('dak nong, phuong dong gia nghia');
    expect(fold('K’Brèm')).toBe('k’brem');
  });
  it('lose the word for their kind', () => {
    expect(['Phường Đông Gia Nghĩa', 'Xã Hải Ninh', 'Đặc khu Phú Quý', 'Xãmới'].map(shortAreaName)).toEqual(['Đông Gia Nghĩa', 'Hải Ninh', 'Phú Quý', 'Xãmới']);
  });
});

describe('freshness', () => {
  it.each([[60_000, 'fresh'], [75_000, 'fresh'], [75_001, 'late'], [195_000, 'late'], [195_001, 'stale']])('a minute row, %s ms old: %s', (age, want) => {
    expect(freshness(0, 60_000, age)).toBe(want);
  });
  it('of a figure without cadence is unknown, so fresh', () => expect(freshness(0, 0, 1e12)).toBe('fresh'));
});
