use super::tokens::{NewToken, create, revoke};
use super::*;
use std::sync::atomic::{AtomicI64, Ordering};

struct Desk {
    folder: tempfile::TempDir,
    now: Arc<AtomicI64>,
}

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

impl Desk {
    fn new() -> Desk {
        Desk { folder: tempfile::tempdir().unwrap(), now: Arc::new(AtomicI64::new(1_000_000)) }
    }

    fn access(&self, may_be_open: bool) -> Access {
        let now = self.now.clone();
        let clock: WallClock = Arc::new(move || Timestamp::from_millis(now.load(Ordering::SeqCst)));
        Access::load(self.folder.path(), may_be_open, clock).unwrap()
    }

    fn token(&self, name: &str, role: Role, expires: Option<i64>) -> String {
        let expires = expires.map(Timestamp::from_millis);
        let areas = if role == Role::Local { vec!["24617".to_owned()] } else { vec![] };
        let new = NewToken { name: name.into(), role, areas, sectors: vec![], expires };
        create(self.folder.path(), new, Timestamp::from_millis(self.now.load(Ordering::SeqCst))).unwrap().0
    }

    fn wait(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }
}

#[test]
fn beyond_loopback_nothing_listens_without_a_token_and_the_refusal_names_the_command() {
    let desk = Desk::new();
    let now = Timestamp::from_millis(1_000_000);
    for (address, loopback) in
        [("127.0.0.1:8080", true), ("[::1]:8080", true), ("0.0.0.0:8080", false), ("10.1.2.3:80", false), ("[::]:80", false)]
    {
        let address: SocketAddr = address.parse().unwrap();
        assert_eq!(may_listen(address, &[], now).is_ok(), loopback, "{address}");
    }
    let outside = "0.0.0.0:8080".parse().unwrap();
    let refusal = may_listen(outside, &[], now).unwrap_err().to_string();
    assert!(refusal.contains("ioc token create") && refusal.contains("127.0.0.1:8080"), "{refusal}");
    desk.token("short", Role::Operator, Some(1_000_001));
    let tokens = tokens::list(desk.folder.path()).unwrap();
    assert!(may_listen(outside, &tokens, now).is_ok());
    assert!(may_listen(outside, &tokens, Timestamp::from_millis(1_000_001)).is_err(), "expired tokens let nobody in");
}

#[test]
fn access_is_open_only_without_tokens_on_loopback_and_never_again_after_one() {
    let desk = Desk::new();
    assert!(!desk.access(false).is_open());
    let access = desk.access(true);
    assert!(access.is_open());
    let open = access.admit(&Pass::Open).unwrap();
    assert!(open.me.may_act && open.me.areas.is_empty() && open.me.role == Role::Operator);
    desk.token("desk", Role::Operator, None);
    desk.wait(LOOK_AGAIN_MS);
    assert!(access.admit(&Pass::Open).is_none());
    revoke(desk.folder.path(), "desk").unwrap();
    desk.wait(LOOK_AGAIN_MS);
    assert!(access.admit(&Pass::Open).is_none());
}

#[test]
fn a_revoked_or_expired_token_ends_its_sessions_within_seconds() {
    let desk = Desk::new();
    let token = desk.token("desk", Role::Operator, None);
    let brief = desk.token("brief", Role::Viewer, Some(1_010_000));
    let access = desk.access(true);
    let session = Pass::Session(access.sign_in(PEER, &token).unwrap());
    let short = Pass::Session(access.sign_in(PEER, &brief).unwrap());
    let bearer = access.check_bearer(PEER, &token).unwrap();
    assert_eq!(access.admit(&session).unwrap().me.name, "desk");
    assert!(access.admit(&short).is_some());
    desk.wait(10_000);
    assert!(access.admit(&short).is_none() && access.admit(&session).is_some());
    revoke(desk.folder.path(), "desk").unwrap();
    desk.wait(LOOK_AGAIN_MS);
    assert!(access.admit(&session).is_none() && access.admit(&bearer).is_none());
    assert_eq!(access.sign_in(PEER, &token), Err(SignInError::Unknown));
}

#[test]
fn a_session_id_is_no_token_and_a_token_is_no_session_id() {
    let desk = Desk::new();
    let token = desk.token("desk", Role::Operator, None);
    let access = desk.access(true);
    let session = access.sign_in(PEER, &token).unwrap();
    assert!(access.admit(&Pass::Session(token)).is_none());
    assert_eq!(access.check_bearer(PEER, &session).err(), Some(SignInError::Unknown));
    access.sign_out(&session);
    assert!(access.admit(&Pass::Session(session)).is_none());
}

#[test]
fn roles_say_who_may_act_feed_and_read() {
    let desk = Desk::new();
    let all = [
        (Role::Viewer, (false, false, true)),
        (Role::Operator, (true, false, true)),
        (Role::Local, (true, false, true)),
        (Role::Analyst, (false, false, true)),
        (Role::Admin, (true, true, true)),
        (Role::Source, (false, true, false)),
    ];
    let tokens: Vec<String> = all.iter().map(|(role, _)| desk.token(&format!("{role:?}"), *role, None)).collect();
    let access = desk.access(true);
    for (token, (role, rights)) in tokens.iter().zip(all) {
        let guest = access.admit(&access.check_bearer(PEER, token).unwrap()).unwrap();
        assert_eq!((guest.me.may_act, guest.may_feed, guest.may_read), rights, "{role:?}");
    }
}

#[test]
fn failed_sign_ins_are_limited() {
    let desk = Desk::new();
    let token = desk.token("desk", Role::Operator, None);
    let access = desk.access(true);
    for _ in 0..session::FAILURES {
        assert_eq!(access.sign_in(PEER, "ioc_wrong"), Err(SignInError::Unknown));
    }
    assert_eq!(access.sign_in(PEER, &token), Err(SignInError::TooMany { seconds: 60 }));
    assert!(access.sign_in("10.0.0.9".parse().unwrap(), &token).is_ok());
    for _ in 0..session::FAILURES {
        assert_eq!(access.check_bearer(PEER, "ioc_old").err(), Some(SignInError::Unknown));
    }
    assert_eq!(access.check_bearer(PEER, "ioc_old").err(), Some(SignInError::TooMany { seconds: 60 }));
    assert!(access.check_bearer(PEER, &token).is_ok(), "one machine with an old token shuts nobody out");
    desk.wait(session::FAILURE_SPAN_MS);
    assert!(access.sign_in(PEER, &token).is_ok());
}

#[test]
fn a_file_that_cannot_be_read_changes_nothing() {
    let desk = Desk::new();
    let token = desk.token("desk", Role::Operator, None);
    let access = desk.access(true);
    std::fs::write(desk.folder.path().join(tokens::FILE), "{broken").unwrap();
    desk.wait(LOOK_AGAIN_MS);
    assert!(access.sign_in(PEER, &token).is_ok());
    let clock: WallClock = Arc::new(|| Timestamp::from_millis(0));
    assert!(Access::load(desk.folder.path(), true, clock).is_err(), "at the start it is an error, never open access");
}
