#if canImport(Glibc)
  import Glibc
#endif

/// The machine's.
enum RealClock {
  /// Since 1970.
  static var seconds: Int64 { Int64(time(nil)) }
}
