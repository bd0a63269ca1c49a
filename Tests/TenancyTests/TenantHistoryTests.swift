import TenancyTestSupport
import Testing

@testable import Tenancy

/// Tenants as they were.
struct TenantHistoryTests {
  private let test: TestPlane
  private let id = Sample.id(1)

  init() throws {
    let store = MemoryStore()
    let auditor = Auditor(
      store, hash: { [UInt8](repeating: UInt8(truncatingIfNeeded: $0.count), count: 32) },
      limits: DenialTable.Limits())
    test = try TestPlane(store, options: ControlPlane.Options(auditor: auditor))
  }

  /// A second passes, and the tenant is created or changed.
  private func change(_ number: UInt64, state: TenantState = .active) async throws {
    test.clock.advance(seconds: 1)
    try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      let created = transaction.state.find(Sample.id(number))?.tenant
      var tenant = Tenant(
        id: Sample.id(number), slug: Sample.slug("t\(number)"), displayName: "", state: state,
        isolationModel: .shared, configuration: TenantConfiguration(),
        version: (created?.version ?? 0) + 1, epoch: 1,
        createTime: created?.createTime ?? transaction.now, updateTime: transaction.now)
      tenant.displayName = "Version \(tenant.version)"
      transaction.emit(.putTenant(tenant), about: tenant.id)
    }
  }

  private func version(at moment: LogMoment) async throws(TenancyError) -> UInt64 {
    guard let record = test.plane.state.find(id) else { throw .tenantNotFound }
    return try await test.plane.tenant(of: record, at: moment, by: .server).version
  }

  private func refused(at moment: LogMoment) async -> TenancyError? {
    await refusal { () async throws(TenancyError) in try await version(at: moment) }
  }

  private func seconds(_ number: Int64) -> LogMoment {
    .time(Timestamp(nanoseconds: Sample.moment.nanoseconds + number * 1_000_000_000))
  }

  @Test func itIsToldAsItWas() async throws {
    // Revisions 1 to 6, at seconds 1 to 6.
    for number in [2, 1, 2, 1, 2, 1] as [UInt64] { try await change(number) }
    for (revision, wanted) in [(2, 1), (3, 1), (4, 2), (5, 2), (6, 3)] as [(UInt64, UInt64)] {
      #expect(try await version(at: .revision(revision)) == wanted)
      #expect(try await version(at: seconds(Int64(revision))) == wanted)
    }
    #expect(try await version(at: seconds(99)) == 3)
    #expect(await refused(at: .revision(1))?.reason == .tenantNotFound)
    #expect(await refused(at: seconds(1))?.reason == .tenantNotFound)
  }

  @Test func whatTheLogDoesNotTellIsOutOfRange() async throws {
    for number in [1, 2, 1, 2, 2, 1] as [UInt64] { try await change(number) }
    try test.store.compact(through: 3)
    // Since then it was changed at 6 alone: what it was before is not in the log.
    for moment in [.revision(3), .revision(5), seconds(4), seconds(5)] as [LogMoment] {
      let error = await refused(at: moment)
      #expect(error?.category == .outOfRange && error?.reason == .revisionCompacted)
    }
    #expect(try await version(at: .revision(6)) == 3)
    let early = await refused(at: .revision(2))
    #expect(early?.category == .outOfRange && early?.metadata["oldest_revision"] == "3")
    #expect(await refused(at: seconds(3))?.category == .outOfRange)
    // One that has not changed since is as it is.
    let other = try #require(test.plane.state.find(Sample.id(2)))
    #expect(
      try await test.plane.tenant(of: other, at: .revision(5), by: .server).version == 3)
    // And one that is of later was not there.
    try await change(3)
    let new = try #require(test.plane.state.find(Sample.id(3)))
    let unknown = await refusal { () async throws(TenancyError) in
      try await test.plane.tenant(of: new, at: .revision(6), by: .server)
    }
    #expect(unknown?.reason == .tenantNotFound)
  }
}
