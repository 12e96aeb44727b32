// Gives back its input, after a byte-wise exclusive or with 0x55. The kit's README.md tells how to build it.
#![no_std]
#![no_main]

extern "C" {
    fn read(fd: i32, buffer: *mut u8, length: usize) -> isize;
    fn write(fd: i32, buffer: *const u8, length: usize) -> isize;
    fn abort() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unsafe { abort() }
}

#[no_mangle]
pub extern "C" fn main(argc: i32, _argv: *const *const u8) -> i32 {
    if argc > 1 {
        return 2;
    }
    let mut buffer = [0u8; 4096];
    loop {
        let n = unsafe { read(0, buffer.as_mut_ptr(), buffer.len()) };
        if n <= 0 {
            return 0;
        }
        for byte in &mut buffer[..n as usize] {
            *byte ^= 0x55;
        }
        unsafe { write(1, buffer.as_ptr(), n as usize) };
    }
}
