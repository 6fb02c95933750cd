//! The words of closed sets as they are on the wire, where a text of them is needed: columns, histories, the audit.
//!
//! Owns: these words. Refuses to know: what they mean, how they are told to people.
//!
//! Invariants
//! 1. A word is the one that serde writes: a test holds them together.
//!
//! Called by: history, audit, views, api.

use super::{Condition, Handling, Role, Severity, Verdict};

impl Severity {
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Major => "major",
            Severity::Minor => "minor",
            Severity::Notice => "notice",
        }
    }
}

impl Condition {
    pub const fn name(self) -> &'static str {
        match self {
            Condition::Inactive => "inactive",
            Condition::Pending => "pending",
            Condition::Firing => "firing",
            Condition::NoData => "no_data",
            Condition::Resolved => "resolved",
        }
    }
}

impl Handling {
    pub const fn name(self) -> &'static str {
        match self {
            Handling::New => "new",
            Handling::Acknowledged => "acknowledged",
            Handling::Assigned => "assigned",
            Handling::Closed => "closed",
        }
    }
}

impl Verdict {
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::True => "true",
            Verdict::False => "false",
            Verdict::Duplicate => "duplicate",
            Verdict::Test => "test",
        }
    }
}

impl Role {
    pub const fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Local => "local",
            Role::Analyst => "analyst",
            Role::Admin => "admin",
            Role::Source => "source",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    fn as_written(of: impl Serialize) -> String {
        serde_json::to_value(of).unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn words_are_those_that_are_written() {
        for s in [Severity::Critical, Severity::Major, Severity::Minor, Severity::Notice] {
            assert_eq!(s.name(), as_written(s));
        }
        for c in [Condition::Inactive, Condition::Pending, Condition::Firing, Condition::NoData, Condition::Resolved] {
            assert_eq!(c.name(), as_written(c));
        }
        for h in [Handling::New, Handling::Acknowledged, Handling::Assigned, Handling::Closed] {
            assert_eq!(h.name(), as_written(h));
        }
        for v in [Verdict::True, Verdict::False, Verdict::Duplicate, Verdict::Test] {
            assert_eq!(v.name(), as_written(v));
        }
        for r in [Role::Viewer, Role::Operator, Role::Local, Role::Analyst, Role::Admin, Role::Source] {
            assert_eq!(r.name(), as_written(r));
        }
    }
}
