/// How much of its rates each tenant has used of late. A value; time is the caller's.
///
/// Of each rate only one moment is kept: when all of it will be there again. A tenant for whom that moment is
/// past is not kept at all: two generations of tables take turns, so that nobody has to look for them.
struct TenantMeters {
  private struct Meter {
    /// Nanoseconds since 1970.
    var writesFull: Int64 = 0
    var logFull: Int64 = 0
  }

  enum Rated { case writes, logBytes }

  private let quotas: TenantQuotas
  private var current: [TenantID: Meter] = [:]
  private var former: [TenantID: Meter] = [:]
  private var began: Int64 = 0
  /// After so long without use all is there again, whatever was used.
  private let generation: Int64

  init(_ quotas: TenantQuotas) {
    self.quotas = quotas
    generation = max(Self.longest(quotas.writes), Self.longest(quotas.logBytes))
  }

  /// Tenants that are kept, for tests.
  var count: Int { current.count + former.count }

  /// How much of a rate is used. Over its burst: by so much in debt.
  func used(_ rated: Rated, of tenant: TenantID, at now: Timestamp) -> Int {
    guard let meter = current[tenant] ?? former[tenant] else { return 0 }
    let rate = rate(rated)
    let wait = min(max(Self.full(rated, meter) - now.nanoseconds, 0), Self.longest(rate))
    return Int((Double(wait) / 1e9 * Double(rate.perSecond)).rounded())
  }

  /// Counts an amount, which may also be negative: what was counted is given back.
  mutating func count(_ amount: Int, _ rated: Rated, of tenant: TenantID, at now: Timestamp) {
    turn(at: now)
    var meter = current[tenant] ?? former[tenant] ?? Meter()
    let rate = rate(rated)
    let time = now.nanoseconds
    // A clock that was set back must not keep anybody waiting.
    let start = min(max(Self.full(rated, meter), time), time + Self.longest(rate))
    let full = start + Int64(Double(amount) / Double(rate.perSecond) * 1e9)
    switch rated {
    case .writes: meter.writesFull = min(full, time + Self.longest(rate))
    case .logBytes: meter.logFull = min(full, time + Self.longest(rate))
    }
    current[tenant] = meter
  }

  private mutating func turn(at now: Timestamp) {
    let age = now.nanoseconds &- began
    guard age >= generation || age < 0 else { return }
    // Older than two: what is in both has not been used for longer than it takes.
    former = (0..<2 * generation).contains(age) ? current : [:]
    current = [:]
    began = now.nanoseconds
  }

  private func rate(_ rated: Rated) -> TenantQuotas.Rate {
    switch rated {
    case .writes: quotas.writes
    case .logBytes: quotas.logBytes
    }
  }

  private static func full(_ rated: Rated, _ meter: Meter) -> Int64 {
    switch rated {
    case .writes: meter.writesFull
    case .logBytes: meter.logFull
    }
  }

  /// How long all of a rate takes to come back, and the reserve.
  private static func longest(_ rate: TenantQuotas.Rate) -> Int64 {
    Int64(Double((1 + TenantQuotas.reserve) * rate.burst) / Double(rate.perSecond) * 1e9)
  }
}
