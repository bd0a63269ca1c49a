import Tenancy

/// The rules of resolution told a second time, from their text alone and without a look at the resolver: all that
/// sources say is gathered first, then one rule after the other is asked whether it refuses that.
enum ResolutionOracle {
  /// What a source says.
  enum Said: Int, CaseIterable {
    case absent, a, b, malformed, unknown, suspended, deleted
  }

  enum Source: Hashable {
    case certificate, token
    case selector(ResolutionStrategy)
  }

  enum Outcome: Hashable {
    case tenant(Said)
    case refused(TenancyError.Reason)
  }

  private struct Facts {
    /// What credentials name.
    var identities: Set<Said> = []
    /// What selectors name, the environment aside.
    var requested: Set<Said> = []
    /// What the environment names.
    var pins: Set<Said> = []

    init(_ said: [Source: Said]) {
      for (source, what) in said where what != .absent {
        switch source {
        case .certificate, .token: identities.insert(what)
        case .selector(.environment): pins.insert(what)
        case .selector: requested.insert(what)
        }
      }
    }

    var names: Set<Said> { requested.union(pins) }

    /// For callers with a tenant of their own, all other tenants and names that are none's are one: here `unknown`.
    func seen(by own: Said) -> Facts {
      var facts = self
      facts.requested = Set(requested.map { $0 == own ? own : .unknown })
      facts.pins = Set(pins.map { $0 == own ? own : .unknown })
      return facts
    }
  }

  /// In the order in which they answer. None of them knows what the ones before have excluded.
  private static let refusals: [(TenancyError.Reason, @Sendable (Facts) -> Bool)] = [
    (.identityUnknown, { !$0.identities.isDisjoint(with: [.unknown, .malformed, .deleted]) }),
    (.credentialConflict, { $0.identities.count > 1 }),
    (.malformedSelector, { $0.names.contains(.malformed) }),
    (
      .environmentPinConflict,
      { facts in facts.pins.contains { pin in facts.requested.contains { $0 != pin } } }
    ),
    (.tenantAmbiguous, { $0.requested.count > 1 }),
    (.tenantMismatch, { !$0.identities.isEmpty && !$0.names.isSubset(of: $0.identities) }),
    (.tenantUnresolved, { $0.names.isEmpty && $0.identities.isEmpty }),
    (.tenantNotFound, { !$0.names.isDisjoint(with: [.unknown, .deleted]) }),
    (
      .tenantSuspended,
      { ($0.names.isEmpty ? $0.identities : $0.names).contains(.suspended) }
    ),
  ]

  static func outcome(_ said: [Source: Said]) -> Outcome {
    let told = Facts(said)
    for (reason, refuses) in refusals {
      let isClear = told.identities.count == 1 && !told.names.contains(.malformed)
      let facts = isClear ? told.identities.first.map(told.seen) ?? told : told
      if refuses(facts) { return .refused(reason) }
    }
    return .tenant(told.names.first ?? told.identities.first ?? .absent)
  }
}
