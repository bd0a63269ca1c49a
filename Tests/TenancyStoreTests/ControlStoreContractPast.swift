import Tenancy
import TenancyTestSupport
import Testing

/// The checks of what the log tells of one tenant.
extension ControlStoreContract {
  private static func entry(
    _ revision: UInt64, _ tenants: [UInt64], seconds: Int64, puts: Bool = true
  ) -> LogEntry {
    let ids = tenants.map { Sample.id($0) }
    return LogEntry(
      revision: revision, time: Timestamp(nanoseconds: seconds * 1_000_000_000), actor: "uid:0",
      action: "test", tenants: ids,
      changes: tenants.map { number in
        guard puts else { return .clearProvisioningSteps(Sample.id(number)) }
        var tenant = Sample.tenant(number)
        tenant.displayName = "of \(revision)"
        return .putTenant(tenant)
      })
  }

  /// As the promise says it.
  private static func expected(_ query: TenantLogQuery, _ log: [LogEntry]) -> LogEntry? {
    let found = log.filter { entry in
      let isUpTo =
        switch query.moment {
        case .revision(let revision): entry.revision <= revision
        case .time(let time): entry.time <= time
        }
      return isUpTo != query.isLater
        && entry.changes.contains {
          if case .putTenant(let tenant) = $0 { tenant.id == query.tenant } else { false }
        }
    }
    return query.isLater ? found.first : found.last
  }

  /// What is read part by part, up to a revision.
  private static func walk(
    _ store: any ControlStore, _ tenant: TenantID?, after floor: UInt64, through last: UInt64
  ) throws -> [LogEntry] {
    var (found, place) = ([LogEntry](), floor)
    while place < last {
      let part = try store.pastEntries(of: tenant, after: place, through: last, limit: 7)
      #expect(part.entries.count <= 7 && part.end > place && part.end <= last)
      #expect(!part.entries.contains { $0.revision <= place || $0.revision > part.end })
      found += part.entries
      guard part.end > place else { break }
      place = part.end
    }
    return found
  }

  static let past = [
    ControlStoreContract("what puts a tenant is read without the rest, part by part") { open in
      let log = (1...120 as ClosedRange<UInt64>).map { revision in
        entry(
          revision, revision % 9 == 0 ? [1, 2] : [revision % 3 + 1], seconds: Int64(revision),
          puts: revision % 5 > 0)
      }
      try withStore(open) { store in
        try store.append(log)
        for floor in [0, 30] as [UInt64] {
          if floor > 0 { try store.compact(through: floor) }
          for last in [floor + 1, 77, 120] {
            let kept = log.filter { $0.revision > floor && $0.revision <= last }
            #expect(try walk(store, nil, after: floor, through: last) == kept)
            for number in 1...4 as ClosedRange<UInt64> {
              let id = Sample.id(number)
              let found = try walk(store, id, after: floor, through: last)
              #expect(found == kept.filter { $0.puts(id) })
            }
          }
        }
        for tenant in [nil, Sample.id(1)] {
          expectError(.compacted(floor: 30)) {
            _ = try store.pastEntries(of: tenant, after: 29, through: 120, limit: 7)
          }
        }
      }
    },
    ControlStoreContract("the entry that puts a tenant is found, next to any moment") { open in
      var random = SeededGenerator(seed: 5)
      var log: [LogEntry] = [entry(1, [1, 2, 3], seconds: 0)]
      for revision in 2...80 as ClosedRange<UInt64> {
        let some = (1...3 as ClosedRange<UInt64>).shuffled(using: &random)
        log.append(
          entry(
            revision, Array(some.prefix(Int.random(in: 1...2, using: &random))),
            // Clocks of nodes differ.
            seconds: Int64(revision) + Int64.random(in: -2...2, using: &random),
            puts: Int.random(in: 0..<3, using: &random) > 0))
      }
      try withStore(open) { store in
        try store.append(log)
        for floor in [0, 30] as [UInt64] {
          if floor > 0 { try store.compact(through: floor) }
          let kept = log.filter { $0.revision > floor }
          for revision in floor...85 {
            for number in 1...4 as ClosedRange<UInt64> {
              for isLater in [false, true] {
                let query = TenantLogQuery(Sample.id(number), .revision(revision), isLater: isLater)
                #expect(try store.tenantEntry(query) == expected(query, kept))
              }
            }
          }
          let first = try #require(kept.first).time.nanoseconds / 1_000_000_000
          for seconds in first...90 {
            let time = Timestamp(nanoseconds: seconds * 1_000_000_000)
            for isLater in [false, true] {
              let query = TenantLogQuery(Sample.id(2), .time(time), isLater: isLater)
              #expect(try store.tenantEntry(query) == expected(query, kept))
            }
          }
        }
        for moment in [.revision(29), .time(Timestamp(nanoseconds: 0))] as [LogMoment] {
          for isLater in [false, true] {
            expectError(.compacted(floor: 30)) {
              _ = try store.tenantEntry(TenantLogQuery(Sample.id(1), moment, isLater: isLater))
            }
          }
        }
      }
    },
  ]
}
