//! `dashboard/src/wire.ts` is what ts-rs makes of wire.rs. `UPDATE_WIRE=1 cargo test wire_ts` writes it anew.

use crate::server::wire::*;
use ts_rs::{Config, TS};

const HEAD: &str = "// Generated from src/server/wire.rs; do not edit. `UPDATE_WIRE=1 cargo test --lib wire_ts` writes it anew.\n";

fn declared<T: TS>(config: &Config, text: &mut String) {
    text.push('\n');
    if let Some(docs) = T::docs() {
        text.push_str(docs.trim_end());
        text.push('\n');
    }
    text.push_str("export ");
    text.push_str(&T::decl(config));
    text.push('\n');
}

macro_rules! all {
    ($config:ident, $text:ident, $($name:ident),* $(,)?) => { $(declared::<$name>(&$config, &mut $text);)* };
}

fn generated() -> String {
    let config = Config::new().with_large_int("number");
    let mut text = HEAD.to_owned();
    text.push_str(&format!("\nexport const PROTOCOL = {PROTOCOL};\n"));
    all!(
        config,
        text,
        Text,
        ClientMessage,
        Resume,
        ServerMessage,
        ByeReason,
        Snapshot,
        Update,
        TickView,
        Severity,
        Condition,
        Handling,
        AreaRef,
        AlertView,
        Acknowledgement,
        Evidence,
        ClauseView,
        CaseFacts,
        RowState,
        FigureView,
        HealthView,
        StoreHealth,
        LogHealth,
        Me,
        Role,
        Catalog,
        AreaName,
        GroupView,
        DemoStep,
        SectorView,
        MeasurementView,
        FieldView,
        RuleView,
        Limit,
        Trend,
        TrendPoint,
        CasesPage,
        CaseView,
        Verdict,
        Assignment,
        Closing,
        StepDone,
        ActRequest,
        ActView,
        ActConflict,
        BulkRequest,
        AlertVersion,
        BulkAnswer,
        AlertsPage,
        AlertDetail,
        EventPositions,
        SourcesNow,
        SourceView,
        HistoryEntry,
        Problem,
        RejectedPage,
        RejectedView,
        RedriveRequest,
        RedrivenView,
        LatePage,
        LateView,
        PipelinesNow,
        PipelineView,
        TimingView,
        Rates,
        PipelineWindow,
        WindowHold,
        ReleasedBy,
        Holder,
        PipelineRule,
        AlertCounts,
        PipelinePartition,
        Explanation,
        WindowState,
        QuietSource,
        RowsPage,
        RowView,
        IndicatorsNow,
        IndicatorView,
        IndicatorDirection,
        IndicatorBaseline,
        IndicatorTarget,
        IndicatorFigure,
        ReplayCommand,
        ReplayState,
        Timeline,
        TimelineAlert,
        TimelineGap,
    );
    text
}

#[test]
fn wire_ts_is_generated_from_wire_rs() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard/src/wire.ts");
    let text = generated();
    let all = [
        include_str!("../wire.rs"),
        include_str!("../wire/handling.rs"),
        include_str!("../wire/rest.rs"),
        include_str!("../wire/pipelines.rs"),
        include_str!("../wire/replay.rs"),
        include_str!("../wire/rows.rs"),
    ]
    .iter()
    .map(|t| t.matches("TS)]").count())
    .sum::<usize>();
    assert_eq!(text.matches("\nexport type").count(), all, "a type of wire.rs is missing in the list of this test");
    if std::env::var_os("UPDATE_WIRE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let held = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(held, text, "{} differs from wire.rs: run `UPDATE_WIRE=1 cargo test --lib wire_ts`", path.display());
}
