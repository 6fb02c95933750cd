//! Refusals: what, where, and the next step, in both languages.
//!
//! Owns: [`Refusal`], every way in which a request is turned away, with its status and sentences. Refuses to know: how it came to that.
//!
//! Invariants
//! 1. Every refusal is a `wire::Problem`; `code` is stable, `detail` names the object.
//! 2. A thing outside the reader's scope is refused as if it did not exist.
//!
//! Called by: every handler.

use crate::server::wire::{Problem, Text};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A request turned away.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    SignedOut,
    BadToken,
    TooManyFailures { seconds: u64 },
    NotAllowed(String),
    ForeignOrigin(String),
    ForeignHost(String),
    Malformed(String),
    BadEvents(String),
    WrongMediaType(String),
    TooLarge(String),
    TooSlow,
    NotFound(String),
    WrongMethod(String),
    Busy { seconds: u64, detail: String },
    Unavailable(String),
    Failed(String),
}

impl Refusal {
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Refusal::SignedOut => (StatusCode::UNAUTHORIZED, "signed_out"),
            Refusal::BadToken => (StatusCode::UNAUTHORIZED, "bad_token"),
            Refusal::TooManyFailures { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_failures"),
            Refusal::NotAllowed(_) => (StatusCode::FORBIDDEN, "not_allowed"),
            Refusal::ForeignOrigin(_) => (StatusCode::FORBIDDEN, "foreign_origin"),
            Refusal::ForeignHost(_) => (StatusCode::FORBIDDEN, "foreign_host"),
            Refusal::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed"),
            Refusal::BadEvents(_) => (StatusCode::BAD_REQUEST, "bad_events"),
            Refusal::WrongMediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type"),
            Refusal::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Refusal::TooSlow => (StatusCode::REQUEST_TIMEOUT, "too_slow"),
            Refusal::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Refusal::WrongMethod(_) => (StatusCode::METHOD_NOT_ALLOWED, "wrong_method"),
            Refusal::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Refusal::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Refusal::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
        }
    }

    /// Vietnamese, English.
    fn sentences(&self) -> (&'static str, &'static str) {
        match self {
            Refusal::SignedOut => ("Bạn chưa đăng nhập. Hãy nhập mã truy cập của bạn.", "You are not signed in. Enter your access token."),
            Refusal::BadToken => (
                "Mã truy cập không đúng hoặc đã hết hạn. Hãy kiểm tra lại, hoặc xin quản trị viên cấp mã mới.",
                "The access token is wrong or no longer valid. Check it, or ask the administrator for a new one.",
            ),
            Refusal::TooManyFailures { .. } => {
                ("Đăng nhập sai quá nhiều lần. Hãy đợi một phút rồi thử lại.", "Too many failed sign-ins. Wait a minute and try again.")
            }
            Refusal::NotAllowed(_) => (
                "Mã truy cập của bạn không có quyền này. Hãy xin quản trị viên cấp quyền.",
                "Your access token does not allow this. Ask the administrator for the right.",
            ),
            Refusal::ForeignOrigin(_) => (
                "Yêu cầu đến từ một trang khác. Hãy mở trang của chính máy chủ này.",
                "The request comes from another site. Open this server's own page.",
            ),
            Refusal::ForeignHost(_) => (
                "Máy chủ không phục vụ dưới tên này. Hãy dùng 127.0.0.1 hoặc localhost, hoặc khai báo tên trong cấu hình.",
                "The server does not answer to this name. Use 127.0.0.1 or localhost, or declare the name in the settings.",
            ),
            Refusal::Malformed(_) => {
                ("Yêu cầu không đúng dạng. Xem chi tiết và sửa lại.", "The request is not well formed. See the detail and mend it.")
            }
            Refusal::BadEvents(_) => (
                "Sự kiện không đúng chuẩn CloudEvents 1.0; không sự kiện nào được ghi. Sửa theo chi tiết rồi gửi lại toàn bộ.",
                "Not CloudEvents 1.0; none of the events was taken. Mend them as the detail says and send all again.",
            ),
            Refusal::WrongMediaType(_) => (
                "Kiểu nội dung không được nhận. Dùng application/cloudevents+json, application/cloudevents-batch+json hoặc tiêu đề ce-*.",
                "This content type is not taken. Use application/cloudevents+json, application/cloudevents-batch+json or ce-* headers.",
            ),
            Refusal::TooLarge(_) => {
                ("Nội dung gửi lên quá lớn. Hãy chia nhỏ rồi gửi lại.", "What was sent is too large. Split it and send again.")
            }
            Refusal::TooSlow => (
                "Nội dung đến quá chậm. Hãy kiểm tra đường truyền rồi gửi lại.",
                "What was sent came too slowly. Check the line and send again.",
            ),
            Refusal::NotFound(_) => (
                "Không có mục này trong phạm vi của bạn. Hãy kiểm tra lại địa chỉ.",
                "There is no such thing in your scope. Check the address.",
            ),
            Refusal::WrongMethod(_) => (
                "Địa chỉ này không nhận phương thức đó. Xem tiêu đề Allow.",
                "This address does not take that method. See the header Allow.",
            ),
            Refusal::Busy { .. } => ("Hệ thống đang quá tải. Hãy gửi lại sau ít giây.", "The system is busy. Send again in a few seconds."),
            Refusal::Unavailable(_) => (
                "Một thành phần chưa sẵn sàng. Hãy thử lại sau; nếu kéo dài, báo cho người vận hành.",
                "A part is not available. Try again soon; if it lasts, tell the operator.",
            ),
            Refusal::Failed(_) => (
                "Có lỗi trong hệ thống. Hãy báo cho người vận hành kèm chi tiết.",
                "Something failed inside. Tell the operator, with the detail.",
            ),
        }
    }

    fn detail(&self) -> String {
        match self {
            Refusal::SignedOut => "POST /api/v1/session with {\"token\": \"…\"}, or Authorization: Bearer".to_owned(),
            Refusal::BadToken | Refusal::TooSlow => String::new(),
            Refusal::TooManyFailures { seconds } => format!("{seconds} s"),
            Refusal::NotAllowed(detail)
            | Refusal::ForeignOrigin(detail)
            | Refusal::ForeignHost(detail)
            | Refusal::Malformed(detail)
            | Refusal::BadEvents(detail)
            | Refusal::WrongMediaType(detail)
            | Refusal::TooLarge(detail)
            | Refusal::NotFound(detail)
            | Refusal::WrongMethod(detail)
            | Refusal::Busy { detail, .. }
            | Refusal::Unavailable(detail)
            | Refusal::Failed(detail) => detail.clone(),
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Refusal::TooManyFailures { seconds } | Refusal::Busy { seconds, .. } => Some((*seconds).max(1)),
            Refusal::Unavailable(_) => Some(5),
            _ => None,
        }
    }

    pub fn problem(&self) -> Problem {
        let ((_, code), (vi, en)) = (self.status_and_code(), self.sentences());
        Problem { code: code.to_owned(), message: Text { vi: vi.to_owned(), en: en.to_owned() }, detail: self.detail() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, _) = self.status_and_code();
        let mut response = (status, Json(self.problem())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
