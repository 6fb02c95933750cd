//! A whole `ioc` in this process, on the embedded default, in a folder of its own.

use ioc::app::{App, Options};
use ioc::settings::Settings;
use serde_json::Value;
use std::time::Duration;
use tempfile::TempDir;

/// Whatever takes longer has failed.
const LIMIT: Duration = Duration::from_secs(60);

/// Definitions and data of one `ioc`; `app` while it runs.
pub struct Whole {
    pub folder: TempDir,
    pub app: Option<App>,
}

impl Whole {
    /// `files`: texts by path below "pipelines", "schemas", "registry".
    pub fn new(files: &[(&str, &str)]) -> Whole {
        let whole = Whole { folder: tempfile::tempdir().unwrap(), app: None };
        for folder in ["pipelines", "schemas", "registry"] {
            std::fs::create_dir_all(whole.folder.path().join(folder)).unwrap();
        }
        files.iter().for_each(|(path, text)| whole.write(path, text));
        whole
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn settings(&self) -> Settings {
        let at = |name: &str| self.folder.path().join(name);
        Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            data: at("data"),
            pipelines: at("pipelines"),
            schemas: at("schemas"),
            registry: at("registry"),
            ..Settings::default()
        }
    }

    pub async fn start(&mut self) {
        self.app = Some(App::start(self.settings(), Options::default()).await.unwrap());
        let ready = self.url("/readyz");
        let asked = async {
            while !reqwest::get(&ready).await.is_ok_and(|a| a.status().is_success()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, asked).await.expect("the server is ready in time");
    }

    pub async fn stop(&mut self) {
        self.app.take().unwrap().stop().await.unwrap();
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.app.as_ref().unwrap().address)
    }

    /// Sends events; they are durable then.
    pub async fn send(&self, events: &[Value]) {
        let answer = reqwest::Client::new()
            .post(self.url("/api/v1/events"))
            .header("content-type", "application/cloudevents-batch+json")
            .body(Value::from(events.to_vec()).to_string())
            .send();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = reqwest::get(self.url(path)).await.unwrap();
        answer.json().await.unwrap()
    }

    /// Asks until the answer is as wished.
    pub async fn get_until(&self, path: &str, wish: impl Fn(&Value) -> bool) -> Value {
        let asked = async {
            loop {
                let answer = self.get(path).await;
                if wish(&answer) {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, asked).await.expect("the answer is as wished in time")
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let answer = reqwest::Client::new().post(self.url(path)).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }
}
