//! The page: the dashboard as built into the binary.
//!
//! Owns: files of `dashboard/dist`, their kinds and how long they may be kept. Refuses to know: what they do.
//!
//! Invariants
//! 1. Built without a dashboard, `/` says how to build it.
//! 2. Names with a content hash are kept for ever, everything else is asked again each time.
//! 3. Only `/` is the page: an unknown path is not found.
//!
//! Called by: api (for all paths that are no interface).

use super::api::problem::Refusal;
use super::auth::tokens::hex;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "dashboard/dist/"]
#[allow_missing = true]
struct Dist;

const NOT_BUILT: &str = "<!doctype html><html lang=\"vi\"><meta charset=\"utf-8\"><title>ioc</title>\
<p lang=\"vi\">Máy chủ đang chạy, nhưng bản dựng này chưa có trang điều hành. Chạy <code>make web</code> rồi dựng lại <code>ioc</code>.\
<p lang=\"en\">The server runs, but this build has no dashboard. Run <code>make web</code>, then build <code>ioc</code> again.</html>";

pub async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Result<Response, Refusal> {
    let not_found = || Refusal::NotFound(uri.path().to_owned());
    if !matches!(method, Method::GET | Method::HEAD) {
        return Err(not_found());
    }
    let name = uri.path().trim_start_matches('/');
    let name = if name.is_empty() { "index.html" } else { name };
    match Dist::get(name) {
        Some(file) => Ok(answer(name, &headers, file)),
        None if name == "index.html" => {
            Ok(([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], NOT_BUILT).into_response())
        }
        None => Err(not_found()),
    }
}

fn answer(name: &str, headers: &HeaderMap, file: rust_embed::EmbeddedFile) -> Response {
    let tag = format!("\"{}\"", hex(&file.metadata.sha256_hash()[..12]));
    let kept = if has_hash(name) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let fixed = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, kept.to_owned())];
    let seen = headers.get(header::IF_NONE_MATCH).and_then(|seen| seen.to_str().ok()).unwrap_or_default();
    if seen.split(',').any(|each| each.trim().trim_start_matches("W/") == tag) {
        return (StatusCode::NOT_MODIFIED, fixed).into_response();
    }
    (fixed, [(header::CONTENT_TYPE, kind_of(name))], file.data.into_owned()).into_response()
}

/// `assets/index-B3xk_9aZ.js`: eight characters or more of base64url before the extension, in the bundler's folder.
fn has_hash(name: &str) -> bool {
    let Some((stem, _)) = name.strip_prefix("assets/").and_then(|file| file.rsplit_once('.')) else { return false };
    // The hash itself may hold a dash: what counts is that a dash stands before its eight characters.
    let bytes = stem.as_bytes();
    bytes.len() > 9
        && bytes[bytes.len() - 9] == b'-'
        && bytes[bytes.len() - 8..].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

fn kind_of(name: &str) -> String {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        "js" | "mjs" => "text/javascript; charset=utf-8".to_owned(),
        "css" => "text/css; charset=utf-8".to_owned(),
        "html" => "text/html; charset=utf-8".to_owned(),
        "json" | "map" => "application/json".to_owned(),
        "webmanifest" => "application/manifest+json".to_owned(),
        "woff2" => "font/woff2".to_owned(),
        _ => mime_guess::from_ext(extension).first_or_octet_stream().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_hash_are_kept_for_ever() {
        for (name, hashed) in [
            ("assets/index-B3xk_9aZ.js", true),
            ("assets/index-B3xk-9aZ.js", true),
            ("assets/worker-12345678.mjs", true),
            ("assets/logo.svg", false),
            ("index.html", false),
            ("index-B3xk_9aZ.html", false),
        ] {
            assert_eq!(has_hash(name), hashed, "{name}");
        }
    }

    #[test]
    fn kinds_are_those_that_browsers_insist_on() {
        for (name, kind) in [
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.woff2", "font/woff2"),
            ("icon.svg", "image/svg+xml"),
            ("a.wasm", "application/wasm"),
            ("a", "application/octet-stream"),
        ] {
            assert_eq!(kind_of(name), kind);
        }
    }
}
