//! Random bytes (getrandom(2)).

use rustix::rand::GetRandomFlags;

use crate::error::{Named, Result, retry};

/// This many of them, at most 256: so many come at once.
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let count = retry(|| rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty()));
    debug_assert_eq!(count, Ok(N));
    count.named("getrandom")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_two_are_the_same() {
        assert_ne!(super::bytes::<16>().unwrap(), super::bytes::<16>().unwrap());
    }
}
