//! A token server that a real registry trusts (the distribution project's token authentication).

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::certificates::Authority;
use super::http::{Reply, Request};
use super::server::Server;
use super::{PASSWORD, USER};

/// The token to keep that [`TokenServer`] gives.
const REFRESH: &str = "an-identity-token";

/// How tokens are given.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// How long they are good, seconds.
    pub life: u64,
    /// Whether everybody may pull.
    pub anonymous: bool,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            life: 300,
            anonymous: false,
        }
    }
}

/// A token server.
#[derive(Debug)]
pub struct TokenServer {
    server: Server,
    certificate: String,
    given: Arc<AtomicU64>,
}

impl TokenServer {
    /// Starts one. None, and a word that says so, where `openssl` is missing.
    pub fn start(tokens: Tokens) -> Option<Self> {
        let authority = Authority::new()?;
        let certificate = authority.certificate().to_owned();
        let given = Arc::new(AtomicU64::new(0));
        let count = given.clone();
        let server = Server::start(move |request| answer(request, &tokens, &authority, &count));
        Some(Self {
            server,
            certificate,
            given,
        })
    }

    /// Where tokens are given out.
    pub fn realm(&self) -> String {
        format!("http://{}/token", self.server.address())
    }

    /// Whom a registry has to trust, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// How many tokens have been given.
    pub fn given(&self) -> u64 {
        self.given.load(Ordering::SeqCst)
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }
}

fn answer(request: &Request, tokens: &Tokens, authority: &Authority, given: &AtomicU64) -> Reply {
    let query = match request.method.as_str() {
        "POST" => String::from_utf8_lossy(&request.body).into_owned(),
        _ => request
            .target
            .split_once('?')
            .map_or(String::new(), |(_, q)| q.to_owned()),
    };
    let pairs: Vec<(String, String)> = query.split('&').filter_map(pair).collect();
    let all = |name: &str| {
        let found = pairs.iter().filter(|(n, _)| n == name);
        found.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    let known = match request.method.as_str() {
        "POST" => all("refresh_token") == [REFRESH],
        _ => request.header("authorization") == Some(&basic()),
    };
    let nobody = request.method == "GET" && request.header("authorization").is_none();
    let welcome = known || (tokens.anonymous && nobody);
    if !welcome {
        return Reply::new(401, r#"{"details":"incorrect username or password"}"#);
    }
    let scopes = all("scope");
    let scopes = scopes.iter().flat_map(|scope| scope.split(' '));
    let access: Vec<_> = scopes.filter_map(|scope| grant(scope, known)).collect();
    let number = given.fetch_add(1, Ordering::SeqCst);
    let token = signed(&access, tokens.life, number, authority);
    let mut body = serde_json::json!({ "token": token, "expires_in": tokens.life });
    if all("offline_token") == ["true"] {
        body["refresh_token"] = REFRESH.into();
    }
    Reply::new(200, body.to_string()).header("Content-Type", "application/json")
}

/// One scope of those asked for: nobody in particular may pull only.
fn grant(scope: &str, known: bool) -> Option<serde_json::Value> {
    let (rest, actions) = scope.rsplit_once(':')?;
    let (kind, name) = rest.split_once(':')?;
    let actions: Vec<&str> = actions
        .split(',')
        .filter(|a| known || *a == "pull")
        .collect();
    Some(serde_json::json!({ "type": kind, "name": name, "actions": actions }))
}

fn basic() -> String {
    format!(
        "Basic {}",
        base64(format!("{USER}:{PASSWORD}").as_bytes(), STANDARD, true)
    )
}

/// A JSON web token (RFC 7519), signed with ES256, with the certificate in its header.
fn signed(access: &[serde_json::Value], life: u64, number: u64, authority: &Authority) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    let lines = authority
        .certificate()
        .lines()
        .filter(|line| !line.starts_with('-'));
    let certificate: String = lines.collect();
    let header = serde_json::json!({ "typ": "JWT", "alg": "ES256", "x5c": [certificate] });
    let claims = serde_json::json!({
        "iss": "testkit", "sub": USER, "aud": "registry", "exp": now + life, "nbf": now - 10,
        "iat": now, "jti": number.to_string(), "access": access,
    });
    let url = |text: String| base64(text.as_bytes(), URL_SAFE, false);
    let text = format!("{}.{}", url(header.to_string()), url(claims.to_string()));
    let signature = raw(&sign(&text, &authority.pair().key));
    format!("{text}.{}", base64(&signature, URL_SAFE, false))
}

fn sign(text: &str, key: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, key).unwrap();
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-sign"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl could not sign");
    output.stdout
}

/// The two numbers of a signature, 32 bytes each (RFC 7518 section 3.4), out of openssl's ASN.1.
fn raw(der: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    let mut rest = &der[2..];
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let number = &rest[2..2 + length];
        let number = &number[length.saturating_sub(32)..];
        raw.extend(std::iter::repeat_n(0, 32 - number.len()));
        raw.extend(number);
        rest = &rest[2 + length..];
    }
    raw
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    Some((decoded(name), decoded(value)))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64(bytes: &[u8], alphabet: &[u8; 64], padded: bool) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4_usize {
            let index = usize::try_from(bits >> (18 - 6 * at) & 63).unwrap_or(0);
            if at <= group.len() {
                text.push(char::from(alphabet[index]));
            } else if padded {
                text.push('=');
            }
        }
    }
    text
}
