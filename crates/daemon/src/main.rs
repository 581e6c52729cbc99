//! `brigd`, the daemon of Brig.

fn main() -> std::process::ExitCode {
    daemon::main()
}
