import Tenancy
import Testing

@testable import tenantctl

@Suite("Configurations for Envoy")
struct EnvoyTests {
  private static func command(_ arguments: String...) throws -> EnvoyConfigCommand {
    try EnvoyConfigCommand.parse(arguments)
  }

  @Test func addressesAreThoseOfTheOtherCommands() throws {
    func address(_ text: String) throws(UsageError) -> EnvoyAddress {
      try EnvoyAddress(parsing: text, option: "--x")
    }
    #expect(try address("127.0.0.1:80") == .tcp(host: "127.0.0.1", port: 80))
    #expect(try address("[::1]:80") == .tcp(host: "::1", port: 80))
    #expect(try address("a.example:65535") == .tcp(host: "a.example", port: 65_535))
    #expect(try address("unix:/run/x") == .unix(path: "/run/x"))
    for text in ["", "a", ":80", "a:", "a:0", "a:65536", "a:x", "unix:", "unix:x"] {
      #expect(throws: UsageError.self) { try address(text) }
    }
  }

  @Test func whatIsNotCompleteIsRefused() throws {
    let unix = ["--upstream", "u:1", "--tenantd", "unix:/s"]
    let tcp = ["--upstream", "u:1", "--tenantd", "t:1"]
    for arguments in [
      unix + ["--cert", "c"], unix + ["--key", "k"], unix + ["--client-ca", "a"],
      unix + ["--require-client-certificate"],
      unix + ["--cert", "c", "--key", "k", "--require-client-certificate"],
      unix + ["--tenantd-ca", "a"], unix + ["--tenantd-cert", "c", "--tenantd-key", "k"], tcp,
      tcp + ["--tenantd-ca", "a"], tcp + ["--tenantd-cert", "c", "--tenantd-key", "k"],
      unix + ["--admin", "0.0.0.0:9901"], unix + ["--admin", "a.example:9901"],
      unix + ["--admin", "127.0.0.1:8080"], unix + ["--listen", "u:1"],
      unix + ["--request-seconds", "86401"], unix + ["--heap-mebibytes", "1"],
      unix + ["--timeout-milliseconds", "0"], unix + ["--timeout-milliseconds", "60001"],
    ] {
      let command = try EnvoyConfigCommand.parse(arguments)
      #expect(throws: UsageError.self, "\(arguments)") { try command.plan() }
    }
    _ = try EnvoyConfigCommand.parse(
      tcp + ["--tenantd-ca", "a", "--tenantd-cert", "c", "--tenantd-key", "k"]
    ).plan()
  }

  @Test func limitsAreThoseThatAreAskedFor() throws {
    func text(_ arguments: String...) throws -> String {
      try EnvoyConfigCommand.parse(["--upstream", "u:1", "--tenantd", "unix:/s"] + arguments)
        .plan().json.text()
    }
    #expect(try !text().contains("generic_key") && text().contains(#""domain":"tenancy""#))
    let named = try text("--limit", "uploads", "--limit", "requests", "--limit-domain", "edge")
    #expect(named.contains(#""descriptor_value":"uploads""#))
    #expect(
      named.contains(#""descriptor_value":"requests""#) && named.contains(#""domain":"edge""#))
    #expect(try !text("--no-limits").contains("ratelimit"))
    #expect(throws: UsageError.self) { try text("--no-limits", "--limit", "uploads") }
    #expect(throws: UsageError.self) { try text("--limit", "Up Loads") }
  }

  @Test func nothingGoesOnWithoutAnAnswer() throws {
    let text = try Self.command("--upstream", "u:1", "--tenantd", "unix:/s").plan().json.text()
    #expect(text.contains(#""failure_mode_allow":false"#))
    #expect(text.contains(#""timeout":"0.200s""#))
    #expect(text.contains(#""failure_mode_deny":true"#))
    #expect(EnvoyPlan.seconds(1) == "0.001s")
    #expect(EnvoyPlan.seconds(60_000) == "60.000s")
  }
}
