import Glibc

/// Of this process, by the names that Prometheus' own clients use.
public struct ProcessMetrics: Sendable {
  private let startTime: Int

  /// Made when the process starts.
  public init() { startTime = time(nil) }

  public func render(into text: inout MetricsText) {
    var used = timespec()
    if unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0 {
      let nanoseconds =
        UInt64(clamping: used.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: used.tv_nsec)
      text.single(
        "process_cpu_seconds_total", .counter, "CPU time, the system's included.",
        MetricsText.seconds(nanoseconds))
    }
    if let bytes = Self.residentBytes {
      text.single("process_resident_memory_bytes", .gauge, "Resident memory.", String(bytes))
    }
    text.single(
      "process_start_time_seconds", .gauge, "Since 1970, when the process started.",
      String(startTime))
  }

  /// The second number of /proc/self/statm, in pages; nil where there is no such file.
  private static var residentBytes: Int? {
    let file = unsafe open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 128)
    let count = unsafe read(file, &bytes, bytes.count)
    guard count > 0 else { return nil }
    let fields = bytes[..<count].split(separator: UInt8(ascii: " "))
    guard fields.count > 1, let pages = Int(String(decoding: fields[1], as: UTF8.self)) else {
      return nil
    }
    return pages * sysconf(Int32(_SC_PAGESIZE))
  }
}
