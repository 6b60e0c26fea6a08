//! The Merkle tree over the lines of a journal, exactly as in RFC 6962.
//!
//! Owns the hashes: `SHA-256(0x00 ‖ line without its line feed)` for a leaf, `SHA-256(0x01 ‖ left ‖ right)`
//! above. It keeps every complete subtree (64 bytes a line), so appending is O(1) on average and the root or
//! a proof for any earlier size O(log n). It knows nothing of what a line says.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// A SHA-256 value. Written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What `prev` of the first line holds.
    pub const ZERO: Self = Self([0; 32]);

    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The plain SHA-256 of `bytes`, as `sha256sum` prints it.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 value, expected 64 lower-case hexadecimal digits")]
pub struct NotAHash;

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let digit = |b: u8| match b {
            b'0'..=b'9' => Ok(b - b'0'),
            b'a'..=b'f' => Ok(b - b'a' + 10),
            _ => Err(NotAHash),
        };
        let text: &[u8; 64] = text.as_bytes().try_into().map_err(|_| NotAHash)?;
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(out))
    }
}

/// The hash of one line, without its line feed.
pub fn leaf_hash(line: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(line).finalize().into())
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The tree: `levels[k][i]` is the root of the `i`-th complete subtree of `2^k` leaves.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    pub fn new() -> Self {
        Self::default()
    }

    /// How many leaves.
    pub fn size(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    /// The hash of leaf `index`.
    pub fn leaf(&self, index: usize) -> Option<Hash> {
        self.levels.first()?.get(index).copied()
    }

    /// Appends a leaf, see [`leaf_hash`].
    pub fn push(&mut self, leaf: Hash) {
        let (mut hash, mut level) = (leaf, 0);
        loop {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let row = &mut self.levels[level];
            row.push(hash);
            let [.., left, right] = row.as_slice() else { return };
            if row.len() % 2 == 1 {
                return;
            }
            hash = node_hash(left, right);
            level += 1;
        }
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash {
        self.range(0, self.size())
    }

    /// The root over the first `size` leaves; none if there are fewer.
    pub fn root_of(&self, size: usize) -> Option<Hash> {
        (size <= self.size()).then(|| self.range(0, size))
    }

    /// The path that shows leaf `index` to be in the tree of the first `size` leaves, bottom up.
    pub fn inclusion(&self, index: usize, size: usize) -> Option<Vec<Hash>> {
        if index >= size || size > self.size() {
            return None;
        }
        let (mut path, mut low, mut high) = (Vec::new(), 0, size);
        while high - low > 1 {
            let middle = low + split(high - low);
            if index < middle {
                path.push(self.range(middle, high));
                high = middle;
            } else {
                path.push(self.range(low, middle));
                low = middle;
            }
        }
        path.reverse();
        Some(path)
    }

    /// The path that shows the tree of the first `old` leaves to be the beginning of that of the first `new`.
    pub fn consistency(&self, old: usize, new: usize) -> Option<Vec<Hash>> {
        if old == 0 || old > new || new > self.size() {
            return None;
        }
        let (mut path, mut low, mut high) = (Vec::new(), 0, new);
        while high > old {
            let middle = low + split(high - low);
            if old <= middle {
                path.push(self.range(middle, high));
                high = middle;
            } else {
                path.push(self.range(low, middle));
                low = middle;
            }
        }
        if low > 0 {
            path.push(self.range(low, high));
        }
        path.reverse();
        Some(path)
    }

    /// The hash of leaves `low..high`; `low` is a multiple of the power of two that covers the range.
    fn range(&self, low: usize, high: usize) -> Hash {
        let n = high - low;
        if n == 0 {
            return Hash::of(b"");
        }
        if n.is_power_of_two() {
            return self.levels[n.trailing_zeros() as usize][low / n];
        }
        let middle = low + split(n);
        node_hash(&self.range(low, middle), &self.range(middle, high))
    }
}

impl FromIterator<Hash> for Tree {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut tree = Self::new();
        leaves.into_iter().for_each(|leaf| tree.push(leaf));
        tree
    }
}

/// The largest power of two below `n`, for `n` of at least 2.
fn split(n: usize) -> usize {
    1 << (usize::BITS - 1 - (n - 1).leading_zeros())
}

/// Whether `path` leads from `leaf` at `index` to `root` of a tree of `size` leaves.
pub fn includes(root: &Hash, size: u64, index: u64, leaf: &Hash, path: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for step in path {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            hash = node_hash(step, &hash);
            while at % 2 == 0 && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            hash = node_hash(&hash, step);
        }
        (at, last) = (at / 2, last / 2);
    }
    last == 0 && hash == *root
}

/// Whether `path` shows that the tree `(old, old_root)` is the beginning of the tree `(new, new_root)`.
pub fn extends(old: u64, old_root: &Hash, new: u64, new_root: &Hash, path: &[Hash]) -> bool {
    if old == 0 || old > new {
        return false;
    }
    if old == new {
        return path.is_empty() && old_root == new_root;
    }
    let (mut at, mut last) = (old - 1, new - 1);
    while at % 2 == 1 {
        (at, last) = (at / 2, last / 2);
    }
    let (start, path) = match path {
        _ if at == 0 => (old_root, path),
        [first, rest @ ..] => (first, rest),
        [] => return false,
    };
    let (mut before, mut after) = (*start, *start);
    for step in path {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            before = node_hash(step, &before);
            after = node_hash(step, &after);
            while at % 2 == 0 && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            after = node_hash(&after, step);
        }
        (at, last) = (at / 2, last / 2);
    }
    last == 0 && before == *old_root && after == *new_root
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6962, section 2.1, word for word.
    fn naive(leaves: &[Hash]) -> Hash {
        match leaves.len() {
            0 => Hash::of(b""),
            1 => leaves[0],
            n => {
                let k = (0..).map(|i| 1usize << i).take_while(|k| *k < n).last().unwrap();
                node_hash(&naive(&leaves[..k]), &naive(&leaves[k..]))
            }
        }
    }

    /// The vectors that certificate transparency implementations share.
    #[test]
    fn known_roots() {
        let inputs: [&[u8]; 8] = [
            &[],
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Tree::new();
        assert_eq!(tree.root().to_string(), roots[0]);
        for (input, root) in inputs.iter().zip(&roots[1..]) {
            tree.push(leaf_hash(input));
            assert_eq!(tree.root().to_string(), *root);
        }
        assert_eq!(tree.root_of(9), None);
    }

    #[test]
    fn a_hash_has_one_spelling() {
        let hash = Hash::of(b"x");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!(hash.to_string().to_uppercase().parse::<Hash>().is_err());
        assert!("é".repeat(32).parse::<Hash>().is_err());
    }

    #[test]
    fn proofs_out_of_range_are_none() {
        let tree: Tree = (0..5u8).map(|i| leaf_hash(&[i])).collect();
        assert_eq!((tree.inclusion(5, 5), tree.inclusion(0, 6)), (None, None));
        assert_eq!(
            (tree.consistency(0, 5), tree.consistency(3, 2), tree.consistency(3, 6)),
            (None, None, None)
        );
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition_at_every_size(n in 0usize..70) {
            let leaves: Vec<Hash> = (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect();
            let tree: Tree = leaves.iter().copied().collect();
            prop_assert_eq!(tree.root(), naive(&leaves));
            for size in 0..=n {
                prop_assert_eq!(tree.root_of(size), Some(naive(&leaves[..size])));
            }
        }

        #[test]
        fn an_inclusion_path_holds_and_no_other(size in 1usize..70, at in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>()) {
            let tree: Tree = (0..size).map(|i| leaf_hash(&i.to_be_bytes())).collect();
            let (index, root) = (at.index(size), tree.root());
            let (leaf, mut path) = (tree.leaf(index).unwrap(), tree.inclusion(index, size).unwrap());
            let holds = |leaf, index: usize, path: &[Hash]| includes(&root, size as u64, index as u64, leaf, path);
            prop_assert!(holds(&leaf, index, &path));
            prop_assert!(!holds(&Hash::ZERO, index, &path));
            prop_assert!(!holds(&leaf, index + 1, &path));
            path.push(Hash::ZERO);
            prop_assert!(!holds(&leaf, index, &path));
            path.pop();
            if !path.is_empty() {
                let at = flip.index(path.len());
                path[at].0[0] ^= 1;
                prop_assert!(!holds(&leaf, index, &path));
                path[at].0[0] ^= 1;
                path.pop();
                prop_assert!(!holds(&leaf, index, &path));
            }
        }

        #[test]
        fn a_consistency_path_holds_and_no_other(new in 1usize..70, at in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>()) {
            let tree: Tree = (0..new).map(|i| leaf_hash(&i.to_be_bytes())).collect();
            let old = 1 + at.index(new);
            let (before, after) = (tree.root_of(old).unwrap(), tree.root());
            let mut path = tree.consistency(old, new).unwrap();
            let holds = |before: &Hash, path: &[Hash]| extends(old as u64, before, new as u64, &after, path);
            prop_assert!(holds(&before, &path));
            prop_assert!(!holds(&Hash::ZERO, &path));
            path.push(Hash::ZERO);
            prop_assert!(!holds(&before, &path));
            path.pop();
            if !path.is_empty() {
                let at = flip.index(path.len());
                path[at].0[0] ^= 1;
                prop_assert!(!holds(&before, &path));
            }
        }

        #[test]
        fn checking_noise_never_panics(a in any::<u64>(), b in any::<u64>(), path in prop::collection::vec(any::<[u8; 32]>(), 0..70)) {
            let path: Vec<Hash> = path.into_iter().map(Hash).collect();
            let _ = includes(&Hash::ZERO, a, b, &Hash::ZERO, &path);
            let _ = extends(a, &Hash::ZERO, b, &Hash::ZERO, &path);
        }
    }
}
