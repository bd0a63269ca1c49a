import Synchronization

#if canImport(Glibc)
  internal import CTenancyMalloc
  import Glibc
#endif

/// Gives memory back to the system that a burst of work has left free: malloc(3) keeps it otherwise.
///
/// Looks every few seconds at how much is resident. When that has grown since memory was last given back,
/// and grows no more, the allocator is asked to. That costs the more the more there is to give, and threads
/// that want memory meanwhile wait: so not while there is a burst, unless it lasts. What was still in use
/// then is asked for again later, ever more rarely while that is in vain.
///
/// All of that is the process's, not a server's: programs that serve have no other need of it.
struct MemoryKeeper {
  static let interval = Duration.seconds(5)
  /// Looks that a burst may last before memory is given back all the same.
  private static let patience = 4
  /// Bytes that are not worth it.
  private static let slack = 1024 * 1024
  /// Threads share so many heaps at most. Many heaps keep many free pages.
  private static let maximumHeaps: Int32 = 2
  /// Bytes. Larger blocks are the system's own, and go back to it when they are freed: among smaller ones
  /// they would leave gaps that fill slowly. malloc(3) raises its own bound with each that it frees.
  private static let largeBlock: Int32 = 2 * 1024 * 1024
  /// Bytes that a heap keeps at its end: to give them back with each large message would cost more.
  private static let keptAtEnd: Int32 = 4 * 1024 * 1024

  /// Resident when memory was last given back.
  private var floor = 0
  /// At the last look.
  private var last = 0
  /// Looks that have seen it grown.
  private var looks = 0
  /// The least that there ever was.
  private var lowest: Int
  /// Looks until what was left is asked for again, and from one time to the next.
  private var (wait, pause) = (0, 1)
  private static let longestPause = 64

  /// - Parameter resident: bytes at the start.
  init(resident: Int) { lowest = resident }

  /// Whether memory should be given back now.
  ///
  /// - Parameter resident: bytes.
  mutating func look(_ resident: Int) -> Bool {
    let isGrowing = resident > last + Self.slack
    last = resident
    // What has gone by itself is not waited for again.
    floor = min(floor, resident)
    guard resident > floor + Self.slack else {
      looks = 0
      guard resident - Self.slack > lowest else { return false }
      wait -= 1
      return wait <= 0
    }
    looks += 1
    return !isGrowing || looks >= Self.patience
  }

  /// Memory has been given back.
  mutating func gaveBack(_ resident: Int) {
    let wasWorthIt = looks > 0 || last - resident > Self.slack
    pause = wasWorthIt ? 1 : min(2 * pause, Self.longestPause)
    (floor, last, looks, wait) = (resident, resident, 0, pause)
    lowest = min(lowest, resident)
  }

  /// Before the threads are started that serve.
  static func prepare() {
    #if canImport(Glibc)
      mallopt(M_ARENA_MAX, maximumHeaps)
      mallopt(M_MMAP_THRESHOLD, largeBlock)
      mallopt(M_TRIM_THRESHOLD, keptAtEnd)
    #endif
  }

  /// Runs until cancelled.
  static func run() async {
    #if canImport(Glibc)
      var keeper = MemoryKeeper(resident: residentBytes() ?? 0)
      while let resident = residentBytes() {
        if keeper.look(resident) {
          malloc_trim(0)
          keeper.gaveBack(residentBytes() ?? resident)
        }
        do { try await Task.sleep(for: interval) } catch { return }
      }
    #endif
  }

  #if canImport(Glibc)
    /// Of this process; nil: the system does not say.
    static func residentBytes() -> Int? {
      let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
      guard file >= 0 else { return nil }
      defer { close(file) }
      var text = [UInt8](repeating: 0, count: 128)
      let count = read(file, &text, text.count)
      // Pages: all, resident, and more.
      let numbers = text.prefix(max(0, count)).split(separator: UInt8(ascii: " "))
      guard numbers.count > 1, let pages = Int(String(decoding: numbers[1], as: UTF8.self)) else {
        return nil
      }
      return pages * Int(getpagesize())
    }
  #endif
}
