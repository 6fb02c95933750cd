//! docs/integrator.md, done: its files written, its commands run with the built program, in an empty folder.

use std::path::Path;
use std::process::Command;

#[test]
fn the_page_for_integrators_works_as_it_stands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/integrator.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(root.join("docs/integrator/readings.csv"), folder.path().join("readings.csv")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_ioc"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    let mut commands = 0;
    for block in page.split("```").skip(1).step_by(2) {
        let (info, body) = block.split_once('\n').unwrap();
        match info.split_once(' ') {
            Some((_, file)) => {
                let file = folder.path().join(file);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, body).unwrap();
            }
            None if info == "sh" => {
                let mut ran = Command::new("bash");
                ran.args(["-euo", "pipefail", "-c", body]).current_dir(folder.path()).env("PATH", &path).env_remove("IOC_CONFIG");
                let out = ran.output().unwrap();
                let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                assert!(out.status.success(), "{body}\n{}{}", said(&out.stdout), said(&out.stderr));
                commands += body.lines().filter(|line| !line.is_empty()).count();
            }
            None => assert_eq!(info, "text", "a block is a file, `sh` or `text`"),
        }
    }
    assert!(commands >= 8, "{commands} commands");
}
