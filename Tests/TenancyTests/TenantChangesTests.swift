import TenancyTestSupport
import Testing

@testable import Tenancy

/// Who follows the changes of tenants.
struct TenantChangesTests {
  private static func plane(entries: Int = 1024) throws -> TestPlane {
    var options = ControlPlane.Options()
    options.tail = LogTail.Limits(entries: entries)
    options.pause = { _ in }
    return try TestPlane(options: options)
  }

  /// Creates or changes tenants in one transaction, as callers see it.
  private static func change(_ plane: ControlPlane, _ numbers: [UInt64]) async throws {
    try await plane.write(actor: "test", action: "test") { transaction throws(TenancyError) in
      for number in numbers {
        var tenant = Sample.tenant(number, slug: "t\(number)")
        if let former = transaction.state.find(tenant.id)?.tenant {
          tenant = former
          tenant.version += 1
        }
        tenant.updateTime = transaction.now
        transaction.emit(.putTenant(tenant), about: tenant.id)
      }
    }
  }

  /// All changes that there are by now: tenant, version, and what it was before.
  private static func all(_ changes: inout TenantChanges) async throws -> [String] {
    var found: [String] = []
    while true {
      switch try await changes.next() {
      case .change(let change):
        let former =
          switch change.former {
          case .unknown: "?"
          case .none: "-"
          case .tenant(let tenant): "\(tenant.version)"
          }
        found.append("\(change.tenant.slug.text) \(change.tenant.version) \(former)")
      case .passed: break
      case .nothing, .closed: return found
      }
    }
  }

  @Test func eachIsGivenOnceWithWhatWasBefore() async throws {
    let test = try Self.plane()
    try await Self.change(test.plane, [1])
    var changes = test.plane.tenantChanges(after: TenantChangePlace(revision: 1))
    #expect(try await Self.all(&changes).isEmpty)
    try await Self.change(test.plane, [1])
    _ = try await test.plane.reserve("something-else")
    try await Self.change(test.plane, [2, 1])
    #expect(try await Self.all(&changes) == ["t1 2 1", "t2 1 -", "t1 3 2"])
    #expect(changes.place == TenantChangePlace(revision: 4))
    // What callers do not see, such as its keys, is no change of it.
    test.clock.advance(seconds: 1)
    var keyed = try #require(test.plane.state.find(Sample.id(1))?.tenant)
    keyed.tokenHorizon = Sample.moment
    try await test.put(keyed)
    #expect(try await Self.all(&changes).isEmpty)
    #expect(changes.place == TenantChangePlace(revision: 5))
  }

  @Test func oneThatLagsIsServedFromTheStore() async throws {
    let test = try Self.plane(entries: 4)
    var changes = test.plane.tenantChanges(after: TenantChangePlace(revision: 0))
    for _ in 0..<100 { try await Self.change(test.plane, [1]) }
    let found = try await Self.all(&changes)
    #expect(
      found.map { $0.split(separator: " ")[1] } == (1...100).map { Substring(String($0)) })
    // What was before is known of what is in memory.
    #expect(found.prefix(90).allSatisfy { $0.hasSuffix("?") })
    #expect(test.store.reads > 0)
  }

  /// Who asks for one tenant is given all of its changes, from wherever it begins, also in the middle of a revision.
  @Test func othersArePassedOver() async throws {
    let test = try Self.plane(entries: 4)
    for number in 1...90 as ClosedRange<UInt64> {
      try await Self.change(test.plane, number % 10 == 0 ? [2, 1, 3] : [number % 3 + 2])
    }
    let id = Sample.id(1)
    for (revision, changes) in [(0, 0), (9, 1), (9, 2), (15, 0)] as [(UInt64, Int)] {
      var feed = test.plane.tenantChanges(
        after: TenantChangePlace(revision: revision, changes: changes), of: id, by: .tenant(id))
      let found = try await Self.all(&feed).filter { $0.hasPrefix("t1 ") }
      let first: UInt64 = revision == 0 ? 1 : changes == 1 ? 1 : 2
      #expect(
        found.compactMap { UInt64($0.split(separator: " ")[1]) } == Array(first...9),
        "\(revision).\(changes)")
      #expect(feed.place == TenantChangePlace(revision: 90))
    }
  }

  @Test func itGoesOnInTheMiddleOfARevision() async throws {
    let test = try Self.plane()
    try await Self.change(test.plane, [1, 2, 3])
    try await Self.change(test.plane, [1, 3])
    var place = TenantChangePlace(revision: 0)
    var found: [String] = []
    for _ in 0..<5 {
      var changes = test.plane.tenantChanges(after: place)
      guard case .change(let change) = try await changes.next() else { break }
      found.append("\(change.tenant.slug.text) \(change.revision)")
      place = changes.place
    }
    #expect(found == ["t1 1", "t2 1", "t3 1", "t1 2", "t3 2"])
    #expect(place == TenantChangePlace(revision: 2))
  }

  @Test func nothingIsGivenBehindTheLastThatWasAskedFor() async throws {
    let test = try Self.plane()
    for number in 1...3 as ClosedRange<UInt64> { try await Self.change(test.plane, [number]) }
    var changes = test.plane.tenantChanges(after: TenantChangePlace(revision: 0))
    var found: [UInt64] = []
    while changes.place.revision < 2 {
      if case .change(let change) = try await changes.next(through: 2) {
        found.append(change.revision)
      }
    }
    guard case .passed = try await changes.next(through: 2) else {
      Issue.record("something is given")
      return
    }
    #expect(found == [1, 2])
    #expect(try await Self.all(&changes) == ["t3 1 -"])
  }

  @Test func whatIsCompactedIsOutOfRange() async throws {
    let test = try Self.plane(entries: 4)
    for _ in 0..<20 { try await Self.change(test.plane, [1]) }
    try test.store.compact(through: 10)
    let error = await refusal { () async throws(TenancyError) in
      var changes = test.plane.tenantChanges(after: TenantChangePlace(revision: 9))
      _ = try await changes.next()
    }
    #expect(error?.category == .outOfRange && error?.reason == .revisionCompacted)
    var changes = test.plane.tenantChanges(after: TenantChangePlace(revision: 10))
    #expect(try await Self.all(&changes).count == 10)
  }

  @Test func whatWasReplacedIsBounded() async throws {
    var options = ControlPlane.Options()
    options.tail = LogTail.Limits(entries: 1000, weight: 100_000)
    let test = try TestPlane(options: options)
    var tenant = Sample.tenant(1)
    tenant.configuration.customSettings["x"] = .string(String(repeating: "x", count: 30_000))
    for _ in 0..<10 { try await test.put(tenant) }
    let known = (1...10).map { test.plane.tail.formers(at: $0) != nil }
    #expect(known == [false, false, false, false, false, false, false, true, true, true])
    tenant.configuration.customSettings["x"] = nil
    for _ in 0..<3 { try await test.put(tenant) }
    #expect(test.plane.tail.formers(at: 13) != nil)
  }
}
