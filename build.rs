//! Tells Cargo that the dashboard is part of the program: without this a new file in `dashboard/dist` would not be noticed.
//!
//! Owns: that one rule. Refuses to know: how the dashboard is built (`make web`). Called by: Cargo.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A folder that is missing would count as changed each time; where it cannot be made the program is built without a dashboard.
    if std::fs::create_dir_all("dashboard/dist").is_ok() {
        println!("cargo::rerun-if-changed=dashboard/dist");
    }
}
