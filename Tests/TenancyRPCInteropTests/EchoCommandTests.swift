import TenancyRPC
import Testing

@testable import TenancyRPCInterop

@Suite struct EchoCommandTests {
  @Test(arguments: [
    ("", EchoCommand.none), ("hello", .none), ("sleep", .none), ("sleep:1:2", .none),
    ("fail:3", .none), ("deadline:x", .none), ("md", .none),
    ("sleep:0", .sleep(milliseconds: 0)), ("sleep:4294967295", .sleep(milliseconds: .max)),
    ("md:X-Color", .metadata(key: "x-color")), ("md:", .metadata(key: "")),
    ("deadline", .deadline),
    ("fail:1:", .fail(RPCStatus(.cancelled, ""))),
    ("fail:16:a:b", .fail(RPCStatus(.unauthenticated, "a:b"))),
    ("fail:DATA_LOSS:x", .fail(RPCStatus(.dataLoss, "x"))),
    ("fail:DeadlineExceeded:x", .fail(RPCStatus(.deadlineExceeded, "x"))),
    ("fail:Canceled:x", .fail(RPCStatus(.cancelled, "x"))),
  ])
  func texts(_ text: String, _ command: EchoCommand) throws {
    #expect(try EchoCommand(parsing: text) == command)
  }

  @Test(arguments: [
    "sleep:", "sleep:x", "sleep:4294967296", "fail:0:x", "fail:17:x", "fail::x", "fail:OK:x",
  ])
  func badArguments(_ text: String) {
    let error = #expect(throws: RPCStatus.self) { try EchoCommand(parsing: text) }
    #expect(error?.code == .invalidArgument)
  }

  @Test func keysOfTheTableAreFoundAndOthersAreNot() {
    let table = LookupTable(count: 100)
    for number in 0..<100 {
      let key = Array("key-000\(number < 10 ? "0" : "")\(number)".utf8)
      let found = key.withUnsafeBytes { table.find($0)?.revision }
      #expect(found == UInt64(number) + 1)
    }
    for key in ["", "key-00100", "key-0000", "key-000000", "k"] {
      #expect(Array(key.utf8).withUnsafeBytes { table.find($0) == nil })
    }
    #expect(table.find(UnsafeRawBufferPointer(start: nil, count: 0)) == nil)
  }
}
