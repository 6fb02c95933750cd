//! Words for the measurements and fields of the shipped packs. What is not listed shows its code: users may declare any other.
import type { Lang } from '../format';

const FIELDS: Record<string, [vi: string, en: string]> = {
  vehicles: ['lượt xe', 'vehicles'],
  speed: ['tốc độ', 'speed'],
  occupancy: ['độ chiếm dụng', 'occupancy'],
  queue: ['hàng chờ', 'queue'],
  halting: ['thời gian dừng', 'halting'],
  travel: ['thời gian đi', 'travel time'],
  passed: ['lượt qua', 'passed'],
  detectors: ['máy đếm', 'detectors'],
  level: ['mực nước', 'level'],
  high: ['mực cao nhất', 'highest level'],
  rise: ['mức dâng', 'rise'],
  mm: ['lượng mưa', 'rain'],
  gauges: ['trạm mưa', 'gauges'],
  pm25: ['PM2.5', 'PM2.5'],
  pm10: ['PM10', 'PM10'],
  n: ['số mẫu', 'samples'],
  online: ['trực tuyến', 'online'],
  calls: ['lượt gọi', 'calls'],
  errors: ['lỗi', 'errors'],
  p95_ms: ['trễ p95', 'p95 latency'],
  answered: ['đã trả lời', 'answered'],
  created: ['tiếp nhận mới', 'created'],
  den: ['mẫu số', 'denominator'],
  num: ['tử số', 'numerator'],
  value: ['giá trị', 'value'],
  digitised: ['đã số hóa', 'digitised'],
  due_soon: ['sắp đến hạn', 'due soon'],
  oldest_h: ['chờ lâu nhất', 'oldest'],
  on_time: ['đúng hạn', 'on time'],
  open: ['đang xử lý', 'open'],
  overdue: ['quá hạn', 'overdue'],
  rating: ['điểm hài lòng', 'rating'],
  received: ['tiếp nhận', 'received'],
  reopened: ['mở lại', 'reopened'],
  returned: ['đã trả kết quả', 'returned'],
  reused: ['dùng lại dữ liệu', 'reused'],
  unassigned: ['chưa phân công', 'unassigned'],
  loads: ['lần nạp', 'loads'],
  failed: ['nạp lỗi', 'failed loads'],
  rows: ['bản ghi', 'rows'],
  count: ['số lượng', 'count'],
};

const MEASUREMENTS: Record<string, [vi: string, en: string]> = {
  traffic_loop: ['Dòng xe qua vòng từ', 'Traffic at loops'],
  traffic_queue: ['Hàng chờ', 'Queues'],
  traffic_travel: ['Thời gian đi đường', 'Travel times'],
  traffic_area: ['Giao thông theo địa bàn', 'Traffic by area'],
  water_level: ['Mực nước', 'Water level'],
  water_rise: ['Nước dâng', 'Water rise'],
  rain_1h: ['Mưa 1 giờ', 'Rain, 1 h'],
  rain_day: ['Mưa ngày', 'Rain, day'],
  air_quality: ['Không khí', 'Air'],
  device_up: ['Thiết bị trực tuyến', 'Devices online'],
  device_area: ['Thiết bị theo địa bàn', 'Devices by area'],
  service_calls: ['Trục dịch vụ', 'Service bus'],
  field_report_flow: ['Phản ánh: lượng xử lý', 'Field reports: flow'],
  field_report_open: ['Phản ánh đang mở', 'Field reports, open'],
  field_report_15m: ['Phản ánh 15 phút', 'Field reports, 15 min'],
  dossier_flow: ['Thủ tục hành chính: lượng xử lý', 'Dossiers: flow'],
  dossier_open: ['Hồ sơ thủ tục đang mở', 'Dossiers, open'],
  work_file_month: ['Hồ sơ công việc trong tháng', 'Work files of the month'],
  work_file_open: ['Hồ sơ công việc đang mở', 'Work files, open'],
  indicator: ['Chỉ tiêu', 'Indicators'],
  feed_day: ['Nạp dữ liệu trong ngày', 'Data feeds of the day'],
};

function pick(table: Record<string, [string, string]>, code: string, lang: Lang): string {
  const names = table[code];
  return names ? names[lang === 'vi' ? 0 : 1] : code;
}

export const fieldName = (code: string, lang: Lang): string => pick(FIELDS, code, lang);
export const measurementName = (code: string, lang: Lang): string => pick(MEASUREMENTS, code, lang);
