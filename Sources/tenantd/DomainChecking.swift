import CoreMetrics
import Synchronization
import Tenancy
import TenancyFetch

/// Looks for the challenges of domains on threads of its own, of which there are few, and a tenant has fewer.
/// Thread-safe.
final class DomainChecking: DomainChecker {
  private let prover: DomainProver
  private let places = Mutex(CheckPlaces())
  private let counters: [String: Counter]

  init(_ prover: DomainProver) {
    self.prover = prover
    counters = Dictionary(
      uniqueKeysWithValues: ["proven", "not_proven", "unreachable", "busy"].map { result in
        (result, Counter(label: "tenantd.domain.checks", dimensions: [("result", result)]))
      })
  }

  func look(_ check: DomainCheck) async -> DomainFinding {
    let finding = await find(check)
    let result =
      switch finding {
      case .proven: "proven"
      case .notProven: "not_proven"
      case .unreachable: "unreachable"
      case .busy: "busy"
      }
    counters[result]?.increment()
    return finding
  }

  private func find(_ check: DomainCheck) async -> DomainFinding {
    // Whoever waits no more leaves it to its deadline: until then its place is taken. Whoever does not wait at all, being
    // cancelled before, takes none: nobody would give it back.
    await OneAnswer.of(ifCancelled: .unreachable(why: "the call was ended")) { give in
      guard places.withLock({ $0.take(check.tenant) }) else { return give(.busy) }
      let runs = OwnThread.run { [self] in
        give(prover.look(check))
        places.withLock { $0.giveBack(check.tenant) }
      }
      guard !runs else { return }
      places.withLock { $0.giveBack(check.tenant) }
      give(.busy)
    }
  }
}

/// Who may have domains looked at: whoever has slow ones keeps others' from being looked at no more than this allows.
struct CheckPlaces {
  /// At once, of all tenants.
  static let all = 32
  /// Of one tenant.
  static let ofTenant = 2

  private var taken: [TenantID: Int] = [:]
  private var count = 0

  /// - Returns: whether there is one for it.
  mutating func take(_ tenant: TenantID) -> Bool {
    let own = taken[tenant] ?? 0
    guard count < Self.all, own < Self.ofTenant else { return false }
    taken[tenant] = own + 1
    count += 1
    return true
  }

  /// Once for each that was taken.
  mutating func giveBack(_ tenant: TenantID) {
    guard let own = taken[tenant] else { return }
    taken[tenant] = own > 1 ? own - 1 : nil
    count -= 1
  }
}
