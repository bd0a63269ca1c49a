import Foundation
import Tenancy
import TenancyWire
import Testing

@testable import tenantctl

@Suite struct ArgumentTests {
  @Test func keyValue() throws {
    let pair = try KeyValue(parsing: "a=b=c")
    #expect(pair.key == "a")
    #expect(pair.value == "b=c")
    #expect(try KeyValue(parsing: "a=").value == "")
  }

  @Test(arguments: ["", "a", "=b"]) func notKeyValue(text: String) {
    #expect(throws: UsageError.self) { try KeyValue(parsing: text) }
  }

  @Test(arguments: [
    ("1", JSONValue.number(1)), ("true", .bool(true)), ("null", .null), ("\"1\"", .string("1")),
    ("[1,{\"a\":false}]", .array([.number(1), .object(["a": .bool(false)])])),
    ("plain text", .string("plain text")), ("", .string("")), ("1.2.3", .string("1.2.3")),
    ("true story", .string("true story")),
  ])
  func settings(text: String, value: JSONValue) throws {
    #expect(try KeyValue(parsing: "k=\(text)").json() == value)
  }

  @Test(arguments: ["{a: 1}", "[1,", "\"open"]) func almostJSON(text: String) {
    #expect(throws: UsageError.self) { try KeyValue(parsing: "k=\(text)").json() }
  }

  @Test func flags() throws {
    #expect(try KeyValue(parsing: "k=true").bool())
    #expect(try !KeyValue(parsing: "k=false").bool())
    #expect(throws: UsageError.self) { try KeyValue(parsing: "k=yes").bool() }
  }

  @Test func keysComeOnce() throws {
    let pairs = [try KeyValue(parsing: "a=1"), try KeyValue(parsing: "a=2")]
    #expect(throws: UsageError("--flag names 'a' twice")) {
      try KeyValue.dictionary(pairs, option: "--flag") { $0.value }
    }
  }

  @Test func names() throws {
    #expect(try ResourceName.tenant("acme") == "tenants/acme")
    #expect(try ResourceName.tenant("tenants/acme") == "tenants/acme")
    #expect(try ResourceName.role("r", in: "acme") == "tenants/acme/roles/r")
    #expect(
      try ResourceName.role("tenants/acme/roles/r", in: "tenants/acme") == "tenants/acme/roles/r")
    #expect(try ResourceName.assignment("x", in: "acme") == "tenants/acme/assignments/x")
    #expect(ResourceName.last("tenants/acme/roles/r") == "r")
  }

  @Test func namesOfOtherThings() {
    #expect(throws: UsageError.self) { try ResourceName.tenant("") }
    #expect(throws: UsageError.self) { try ResourceName.tenant("tenants/a/roles/b") }
    #expect(throws: UsageError.self) { try ResourceName.role("../../b/roles/r", in: "a") }
    #expect(throws: UsageError.self) { try ResourceName.role("tenants/b/roles/r", in: "a") }
  }

  @Test(arguments: [("90s", Int64(90)), ("5m", 300), ("8h", 28_800), ("36500d", 3_153_600_000)])
  func timeSpans(text: String, seconds: Int64) throws {
    #expect(try TimeSpan(parsing: text).seconds == seconds)
  }

  @Test(arguments: ["", "d", "5", "0d", "-1d", "36501d", "99999999999999999999d", "1w"])
  func notTimeSpans(text: String) {
    #expect(throws: UsageError.self) { try TimeSpan(parsing: text) }
  }

  @Test func batchFiles() throws {
    let file = try BatchFile(parsing: "# who what\nuser:a  doc:read\r\n\n user:b\tdoc:write\r\n")
    #expect(
      file.items == [
        V1.BatchCheckItem(subject: "user:a", permission: "doc:read"),
        V1.BatchCheckItem(subject: "user:b", permission: "doc:write"),
      ])
    #expect(throws: UsageError("line 2 is not SUBJECT PERMISSION [RESOURCE]")) {
      try BatchFile(parsing: "a b\nc")
    }
    #expect(throws: UsageError.self) { try BatchFile(parsing: "\n") }
  }

  @Test(arguments: [(1_000, [1_000]), (1_001, [1_000, 1])])
  func batchesAreSplit(count: Int, sizes: [Int]) throws {
    let file = try BatchFile(parsing: String(repeating: "a b\n", count: count))
    #expect(file.calls.map(\.count) == sizes)
  }

  @Test func secrets() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
    defer { try? FileManager.default.removeItem(atPath: path) }  // Litter at worst.
    for (content, secret) in [("s \n", "s "), ("s\r\n", "s"), ("s", "s"), ("s\n\n", "s\n")] {
      try content.write(toFile: path, atomically: true, encoding: .utf8)
      #expect(try InputFile.secret(path) == secret)
    }
    try "\n".write(toFile: path, atomically: true, encoding: .utf8)
    #expect(throws: UsageError.self) { try InputFile.secret(path) }
    #expect(throws: UsageError.self) { try InputFile.secret(path + ".none") }
  }

  @Test func pagesAreFollowed() async throws {
    let pages = ["": ([1, 2], "x"), "x": ([3], "y"), "y": ([4], "")]
    let all = try PageOptions.parse(["--all"])
    let (items, next) = try await all.collect { token in pages[token] ?? ([], "") }
    #expect(items == [1, 2, 3, 4])
    #expect(next.isEmpty)
    let one = try PageOptions.parse(["--page-token", "x"])
    let (some, more) = try await one.collect { token in pages[token] ?? ([], "") }
    #expect(some == [3])
    #expect(more == "y")
    await #expect(throws: UsageError.self) { try await all.collect { _ in ([1], "same") } }
  }

  /// Where a filter passes much over, pages may be empty and not the last.
  @Test func emptyPagesArePassedOver() async throws {
    let pages = ["": ([], "x"), "x": ([], "y"), "y": ([1], "z"), "z": ([2], "")]
    let one = try PageOptions.parse([])
    let (some, more) = try await one.collect { token in pages[token] ?? ([], "") }
    #expect(some == [1] && more == "z")
    let (none, end) = try await one.collect { _ in ([Int](), "") }
    #expect(none.isEmpty && end.isEmpty)
  }
}
