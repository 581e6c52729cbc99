//! What a program does before its `main`: with what the kernel gave it and nothing else, when no page
//! of what comes later has been touched.
//!
//! A program that executes itself once more through a read-only mount ([`crate::exe`]) does everything
//! up to there twice. Here that is a handful of system calls.
#![allow(
    unsafe_code,
    reason = "words and variables are where the kernel has put them"
)]

use std::ffi::{CStr, c_char};

use rustix::io::FdFlags;

/// Has the program executed through a read-only mount of its own file before its `main`, if one of its
/// first words is `$word`. For the root of a binary. `main` has to look whether it is
/// ([`crate::exe::is_sealed`]): this gives up without a word.
#[macro_export]
macro_rules! seal_before_main {
    ($word:literal) => {
        #[used]
        #[allow(
            unsafe_code,
            reason = "the place where the linker collects what runs first"
        )]
        // SAFETY: a program calls what is in this section once, in order, before `main` and with its
        // C library ready (System V ABI, "Initialization and Termination Functions"): C functions
        // without results, of which this is one.
        #[unsafe(link_section = ".init_array")]
        static BEFORE_MAIN: extern "C" fn() = {
            extern "C" fn before_main() {
                $crate::early::seal($word);
            }
            before_main
        };
    };
}

/// How many words are looked through: flags of the program stand before its verb.
const LOOKED_THROUGH: usize = 8;
/// Of variables. Who has more is sealed by `main`.
const VARIABLES: usize = 256;

unsafe extern "C" {
    /// environ(7).
    static environ: *const *const c_char;
}

/// For [`seal_before_main`] alone: before `main`, once.
#[doc(hidden)]
pub fn seal(word: &CStr) {
    let _given_up = try_seal(word);
}

fn try_seal(word: &CStr) -> Option<()> {
    // SAFETY: the C library has set it, and nobody else runs that could change it.
    let environment = unsafe { environ };
    if environment.is_null() {
        return None;
    }
    // SAFETY: at the start `environ` is the kernel's array.
    let words = unsafe { words_before(environment) }?;
    let mut strings = Array::default();
    for index in 0.. {
        // SAFETY: the array ends with a null pointer, at which this does.
        let variable = unsafe { *environment.add(index) };
        if variable.is_null() {
            break;
        }
        // SAFETY: the kernel has put strings there that end with a NUL.
        let text = unsafe { CStr::from_ptr(variable) }.to_bytes();
        // Executed once more already; or descriptors are passed on by number, among which ours would be.
        if text.starts_with(crate::exe::VARIABLE.as_bytes()) || text.starts_with(b"LISTEN_FDS=") {
            return None;
        }
        strings.push(variable)?;
    }
    // SAFETY: as above, of the words.
    let mut typed = (0..LOOKED_THROUGH).map_while(|index| unsafe { string(words.add(index + 1)) });
    if !typed.any(|typed| typed == word) {
        return None;
    }
    // SAFETY: as above.
    let all = (1..).map_while(|index| unsafe { string(words.add(index)) });
    if { all }.any(|typed| {
        typed
            .to_bytes()
            .windows(12)
            .any(|part| part == b"preserve-fds")
    }) {
        return None;
    }
    execute(words, strings)
}

/// # Safety
/// `place` is in an array of strings that ends with a null pointer, and not behind that.
unsafe fn string<'a>(place: *const *const c_char) -> Option<&'a CStr> {
    // SAFETY: the caller's word.
    let text = unsafe { *place };
    // SAFETY: the same, of what is there.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

/// The program's words. They lie before the variables: their number, a pointer to each, a null pointer
/// (System V ABI, "Initial Stack and Register State").
///
/// # Safety
/// `environment` is the array that the kernel has made for this program.
unsafe fn words_before(environment: *const *const c_char) -> Option<*const *const c_char> {
    /// Words that are counted before it is given up. A pointer is never a number as small as that.
    const MOST: usize = 2048;
    for count in 0..MOST {
        // SAFETY: the number comes before the words, so that until it is found everything is in the
        // program's first stack.
        let place = unsafe { environment.sub(count + 2) };
        // SAFETY: the same.
        if unsafe { *place }.addr() == count {
            // SAFETY: the same.
            return Some(unsafe { place.add(1) });
        }
    }
    None
}

/// Variables for the program, without allocation.
struct Array {
    entries: [*const c_char; VARIABLES + 2],
    length: usize,
}

impl Default for Array {
    fn default() -> Self {
        Self {
            entries: [std::ptr::null(); VARIABLES + 2],
            length: 0,
        }
    }
}

impl Array {
    fn push(&mut self, entry: *const c_char) -> Option<()> {
        // The last stays a null pointer.
        if self.length > VARIABLES {
            return None;
        }
        *self.entries.get_mut(self.length)? = entry;
        self.length += 1;
        Some(())
    }
}

/// A short text that ends with a NUL. What formats text in general is spread over pages that would be
/// touched for this alone.
#[derive(Default)]
struct Text {
    bytes: [u8; 32],
    length: usize,
}

impl Text {
    fn push(&mut self, text: &[u8]) -> Option<()> {
        // The last byte stays a NUL.
        let room = self.bytes.get_mut(..31)?.get_mut(self.length..)?;
        room.get_mut(..text.len())?.copy_from_slice(text);
        self.length += text.len();
        Some(())
    }

    fn push_number(&mut self, mut number: u32) -> Option<()> {
        let mut digits = [0; 10];
        let mut first = digits.len();
        loop {
            first -= 1;
            *digits.get_mut(first)? = b'0' + u8::try_from(number % 10).ok()?;
            number /= 10;
            if number == 0 {
                return self.push(digits.get(first..)?);
            }
        }
    }
}

fn execute(words: *const *const c_char, mut variables: Array) -> Option<()> {
    let program = crate::exe::mounted("/proc/self/exe".as_ref()).ok()?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&program);
    // The streams are made sure of later.
    if number <= 2 {
        return None;
    }
    let mut told = Text::default();
    told.push(crate::exe::VARIABLE.as_bytes())?;
    told.push(b"=")?;
    told.push_number(std::process::id())?;
    told.push(b":")?;
    told.push_number(number.unsigned_abs())?;
    told.push(b":0")?;
    variables.push(told.bytes.as_ptr().cast())?;
    rustix::io::fcntl_setfd(&program, FdFlags::empty()).ok()?;
    // SAFETY: both arrays end with a null pointer and hold strings that end with a NUL, which `told`
    // does, too; they outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            number,
            c"".as_ptr(),
            words,
            variables.entries.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: u32) -> Option<String> {
        let mut text = Text::default();
        text.push(b"SEALED=")?;
        text.push_number(number)?;
        let written = CStr::from_bytes_until_nul(&text.bytes).ok()?;
        written.to_str().ok().map(str::to_owned)
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for number in [0, 7, 10, 4096, u32::MAX] {
            assert_eq!(text(number), Some(format!("SEALED={number}")));
        }
    }

    #[test]
    fn what_does_not_fit_is_not_cut() {
        let mut text = Text::default();
        assert!(text.push(&[b'x'; 31]).is_some());
        assert!(text.push(b"x").is_none());
        assert_eq!(text.bytes[31], 0);
    }
}
