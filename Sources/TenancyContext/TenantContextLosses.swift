internal import Synchronization

/// Where a context was asked for and was not there: for tests that are to find code that loses it.
///
///     let losses = TenantContextLosses()
///     try await TenantContext.with(context) { await work() }
///     #expect(losses.places.isEmpty)
///
/// Of the whole process: tests that use it don't run beside others that ask for a context on purpose where there is
/// none. Safe to use from any thread.
public final class TenantContextLosses: Sendable {
  private static let open = Mutex<[ObjectIdentifier: TenantContextLosses]>([:])
  private static let count = Atomic<Int>(0)
  /// Places that are kept, at most.
  private static let maximumPlaces = 1_000

  private let noted = Mutex<[TenantContextError.Place]>([])

  /// Listens until `close` is called.
  public init() {
    Self.open.withLock { $0[ObjectIdentifier(self)] = self }
    Self.count.add(1, ordering: .relaxed)
  }

  /// Where it was, in the order of asking; at most 1,000.
  public var places: [TenantContextError.Place] { noted.withLock(\.self) }

  /// Listens no longer.
  public func close() {
    let former = Self.open.withLock { $0.removeValue(forKey: ObjectIdentifier(self)) }
    if former != nil { Self.count.subtract(1, ordering: .relaxed) }
  }

  static func note(_ place: TenantContextError.Place) {
    // Mostly nobody listens.
    guard count.load(ordering: .relaxed) > 0 else { return }
    for losses in open.withLock({ Array($0.values) }) {
      losses.noted.withLock { if $0.count < maximumPlaces { $0.append(place) } }
    }
  }
}
