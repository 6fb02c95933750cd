//! The OpenAPI document against the router: what is routed is described, what is described is routed.

use super::province::{World, send, text};
use crate::server::api::openapi::document;
use crate::server::router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use regex::Regex;
use std::collections::BTreeSet;

type Routes = BTreeSet<(String, String)>;

/// (method, path) of every `.route(…)` of the router's source.
fn routed() -> Routes {
    let source = include_str!("../api/mod.rs");
    let source = &source[source.find("pub fn routes").unwrap()..];
    let (route, method) =
        (Regex::new(r#"\.route\(\s*"([^"]+)",([^\n]*)\n"#).unwrap(), Regex::new(r"\b(get|post|put|delete|patch)\(").unwrap());
    let nested = source.find(".nest(").unwrap();
    let mut routes = Routes::new();
    for found in route.captures_iter(source) {
        let prefix = if found.get(0).unwrap().start() < nested { "/api/v1" } else { "" };
        for each in method.captures_iter(&found[2]) {
            routes.insert((each[1].to_owned(), format!("{prefix}{}", &found[1])));
        }
    }
    assert_eq!(source.matches(".route(").count(), route.captures_iter(source).count(), "a route stands over several lines");
    routes
}

fn described() -> Routes {
    let document = serde_json::to_value(document()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, item)| item.as_object().unwrap().keys().map(|method| (method.clone(), path.clone()))).collect()
}

#[test]
fn each_route_is_in_the_document_and_nothing_else_is() {
    assert_eq!(described(), routed());
}

#[tokio::test]
async fn what_is_described_is_there() {
    let router = router(World::new().parts());
    for (method, path) in described() {
        let mut request = Request::builder().method(method.to_uppercase().as_str()).uri(path.replace(['{', '}'], ""));
        request = request.header(header::CONTENT_TYPE, "application/json");
        let answer = send(&router, request.body(Body::from("{}")).unwrap()).await;
        assert_ne!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        if answer.status() == StatusCode::NOT_FOUND {
            let (_, body) = text(answer).await;
            assert!(!body.contains("docs/protocol.md lists"), "{method} {path}: {body}");
        }
    }
}

#[tokio::test]
async fn each_route_says_what_it_refuses_and_the_document_is_openapi_3_1() {
    let document = serde_json::to_value(document()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let responses: Vec<&str> = operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
            let open = operation["security"] == serde_json::json!([{}]);
            assert_eq!(responses.contains(&"401"), !open || path.ends_with("/session"), "{method} {path}: {responses:?}");
            let takes = operation["parameters"].as_array().is_some_and(|p| !p.is_empty()) || !operation["requestBody"].is_null();
            assert!(!takes || responses.contains(&"400"), "{method} {path}: {responses:?}");
            assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{method} {path}");
        }
    }
    // every reference leads somewhere
    let text = document.to_string();
    for reference in Regex::new(r##""\$ref":"#(/[^"]+)""##).unwrap().captures_iter(&text) {
        assert!(document.pointer(&reference[1]).is_some(), "{}", &reference[1]);
    }
}
