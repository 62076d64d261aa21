//! The program; everything it does is in the library.

/// Values that are nested deep are walked through by recursion, Rhai's own among it; its limits end well before this does. [bytes]
const STACK: usize = 1 << 30;

fn main() -> std::process::ExitCode {
    let run = std::thread::Builder::new().stack_size(STACK).spawn(wavetank::cli::main);
    match run.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(_) => wavetank::cli::main(),
    }
}
