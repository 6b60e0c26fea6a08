//! Where salts and nonces come from: the system, or a seed for rehearsals, simulations and tests.

use sha2::{Digest, Sha256};

/// A source of 128 bits nobody can guess.
pub trait Salt: Send {
    /// # Errors
    /// The system gave no random numbers.
    fn next(&mut self) -> Result<[u8; 16], getrandom::Error>;
}

/// The system's random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemSalt;

impl Salt for SystemSalt {
    fn next(&mut self) -> Result<[u8; 16], getrandom::Error> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)?;
        Ok(salt)
    }
}

/// The same salts for the same seed. Whoever knows the seed can guess what is hidden: never for a live run.
#[derive(Debug, Clone)]
pub struct SeededSalt {
    seed: u64,
    drawn: u64,
}

impl SeededSalt {
    pub const fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }
}

impl Salt for SeededSalt {
    fn next(&mut self) -> Result<[u8; 16], getrandom::Error> {
        let mut hash = Sha256::new();
        hash.update(b"consigne salt");
        hash.update(self.seed.to_be_bytes());
        hash.update(self.drawn.to_be_bytes());
        self.drawn += 1;
        let (salt, _) =
            hash.finalize().as_slice().split_first_chunk::<16>().map_or(([0; 16], ()), |(s, _)| (*s, ()));
        Ok(salt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_no_other() {
        let draw = |seed| {
            let mut salt = SeededSalt::new(seed);
            [salt.next().unwrap(), salt.next().unwrap()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1)[0], draw(1)[1]);
        assert_ne!(SystemSalt.next().unwrap(), SystemSalt.next().unwrap());
    }
}
