//! Tokens: 50 random letters and digits, sent as `Authorization: Bearer`, kept as their SHA-256.
//!
//! No slow hash (Argon2, bcrypt) is needed: those make *guessing a person's password* expensive. A token has
//! log2(62^50) = 297 bits from the operating system's generator, so nobody finds one from its SHA-256 by
//! guessing, and a slow hash would only make every request slow.
//!
//! Invariant: the token itself is never stored, logged or compared. It is found by its hash, a value whose
//! prefix an attacker cannot steer towards a stored one, so the index look-up's timing tells nothing about a
//! token; the hash that the row holds is then compared in constant time before anything is given out.
//!
//! Left out: expiry and revocation.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use serde::Serialize;
use sha2::Digest as _;
use subtle::ConstantTimeEq;

use crate::App;
use crate::envelope::Problem;

/// Characters in a token.
pub const TOKEN_LENGTH: usize = 50;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A token, in the clear. Shown once, when it is made. Deliberately without `Debug`.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// Makes a new one.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut token = String::with_capacity(TOKEN_LENGTH);
        let mut bytes = [0_u8; 2 * TOKEN_LENGTH];
        while token.len() < TOKEN_LENGTH {
            getrandom::fill(&mut bytes)?;
            // 248 is the largest multiple of 62 in a byte: larger values would favour the first letters.
            let fair = bytes.iter().filter(|byte| **byte < 248).take(TOKEN_LENGTH - token.len());
            token.extend(fair.map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
        }
        Ok(Self(token))
    }

    /// Reads one that a client sent. `None` when no token looks like that.
    fn parse(text: &str) -> Option<Self> {
        let plausible = text.len() == TOKEN_LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        plausible.then(|| Self(text.to_owned()))
    }

    /// The hash it is stored as.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(sha2::Sha256::digest(self.0.as_bytes()).into())
    }
}

/// The SHA-256 of a token.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The bytes, as the database keeps them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a stored hash is this one; takes the same time whatever the answer.
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.0.as_slice().ct_eq(stored).into()
    }
}

/// The credentials of a request. Well-formed, but not yet known to be anyone's: each handler's one statement
/// finds the user by it, so that no request costs a round trip for authentication alone.
pub struct Bearer(pub TokenDigest);

impl FromRequestParts<App> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let header = parts.headers.get(header::AUTHORIZATION).ok_or(Problem::NoToken)?;
        let (scheme, token) =
            header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Problem::NoToken)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Problem::NoToken);
        }
        Token::parse(token.trim()).map(|token| Self(token.digest())).ok_or(Problem::WrongToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_fifty_letters_and_digits_and_never_the_same() {
        let tokens: std::collections::HashSet<String> =
            (0..200).map(|_| Token::generate().unwrap().0).collect();
        assert_eq!(tokens.len(), 200);
        assert!(tokens.iter().all(|token| Token::parse(token).is_some()));
        // 10 000 draws: a letter that never comes up would be a defect, not chance (62 e^-161).
        let seen: std::collections::HashSet<char> = tokens.iter().flat_map(|token| token.chars()).collect();
        assert_eq!(seen.len(), ALPHABET.len());
    }

    #[test]
    fn a_digest_matches_itself_only() {
        let (one, two) = (Token::generate().unwrap().digest(), Token::generate().unwrap().digest());
        assert!(one.matches(one.as_bytes()));
        assert!(!one.matches(two.as_bytes()));
        assert!(!one.matches(&one.as_bytes()[..31]));
    }

    #[test]
    fn the_hash_is_plain_sha256() {
        let hex: String =
            Token("a".into()).digest().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb");
    }
}
