import TenancyWire
import Testing

@testable import tenantctl

@Suite("tenantctl top") struct TopTests {
  @Test(
    arguments: [
      (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (10_485_760, "10.0 MiB"),
      (5_000_000_000, "4.7 GiB"), (Int64.max, "8192.0 PiB"),
    ] as [(Int64, String)])
  func sizes(bytes: Int64, text: String) {
    #expect(V1.StorageUsage.text(bytes: bytes) == text)
  }

  @Test func whatIsNotKnownIsNotZero() {
    #expect(V1.StorageUsage().size == "?")
    let unknown = V1.BusyTenant(tenant: "tenants/1", storage: V1.StorageUsage(problem: "x"))
    let lines = V1.ListBusiestTenantsResponse(tenants: [unknown], node: "n\u{1B}").lines()
    #expect(lines.first == "n\\u{1b}: calls are not counted")
    let cells = lines.last?.split(separator: " ").map { String($0) }
    #expect(cells == ["tenants/1", "-"] + Array(repeating: "?", count: 9))
  }

  @Test func aTableTellsOfEach() {
    let calls = V1.CallUsage(
      calls: 12, okCalls: 7, deniedCalls: 3, limitedCalls: 2, lastMinuteCalls: 5,
      openConnections: 4, openStreams: 1)
    let busy = V1.BusyTenant(
      tenant: "tenants/1", slug: "acme", state: .active, calls: calls,
      storage: V1.StorageUsage(bytes: 2048, sessions: 6))
    let answer = V1.ListBusiestTenantsResponse(
      tenants: [busy], node: "one", calls: 40, countedTenants: 9, forgottenTenants: 2,
      sinceTime: GoogleProtobuf.Timestamp(seconds: 0))
    let lines = answer.lines()
    #expect(lines[0] == "one: 40 calls of 9 tenants, 2 forgotten since 1970-01-01T00:00:00Z")
    let cells = lines[2].split(separator: " ").map { String($0) }
    #expect(
      cells == ["acme", "ACTIVE", "12", "5", "3", "2", "0", "4", "1", "2.0", "KiB", "6"])
  }

  @Test func aTableTakesThePlaceOfTheOneBefore() {
    #expect(
      LiveTable.frame(["a", "b"], height: 24)
        == "\u{1B}[H\u{1B}[2Ka\n\u{1B}[2Kb\n\u{1B}[J")
    // No more than there is room for: what was above would move away.
    #expect(
      LiveTable.frame(["a", "b", "c"], height: 3)
        == "\u{1B}[H\u{1B}[2Ka\n\u{1B}[2Kb\n\u{1B}[J")
    #expect(LiveTable.frame(["a", "b"], height: 1) == "\u{1B}[H\u{1B}[2Ka\n\u{1B}[J")
  }
}
