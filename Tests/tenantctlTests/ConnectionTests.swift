import ArgumentParser
import TenancyRPC
import TenancyWire
import Testing

@testable import tenantctl

@Suite struct ConnectionTests {
  @Test(arguments: [
    ("unix:/run/t.sock", Endpoint.unix(path: "/run/t.sock")),
    ("localhost:8443", .tcp(host: "localhost", port: 8443)),
    ("[::1]:1", .tcp(host: "::1", port: 1)),
    ("10.0.0.1:65535", .tcp(host: "10.0.0.1", port: 65_535)),
  ])
  func endpoints(text: String, endpoint: Endpoint) throws {
    #expect(try Endpoint(parsing: text) == endpoint)
    #expect(endpoint.description == text)
  }

  @Test(arguments: [
    "", "unix:", "localhost", "localhost:", ":1", "a:0", "a:65536", "::1:80", "a:x",
    "[::1:80", "::1]:80", "[a]b:80",
  ])
  func notEndpoints(text: String) {
    #expect(throws: UsageError.self) { try Endpoint(parsing: text) }
  }

  @Test func optionsGoBeforeTheEnvironment() throws {
    let options = try ServerOptions.parse(["--address", "a:1", "--cert", "c"])
    let environment = ["TENANCY_ADDRESS": "b:2", "TENANCY_CA": "x", "TENANCY_KEY": "y"]
    let plan = try ConnectionPlan(options, environment: environment)
    #expect(plan.endpoint == .tcp(host: "a", port: 1))
    #expect(
      plan.files
        == TLSContext.Files(certificateChain: "c", privateKey: "y", peerAuthorities: "x"))
    #expect(plan.timeout == 10)
  }

  @Test func unixSocketsNeedNoCertificate() throws {
    let plan = try ConnectionPlan(
      try ServerOptions.parse([]), environment: ["TENANCY_ADDRESS": "unix:/s"])
    #expect(plan.files == nil)
  }

  @Test func incomplete() throws {
    let none = try ServerOptions.parse([])
    #expect(throws: UsageError.self) { try ConnectionPlan(none, environment: [:]) }
    #expect(throws: UsageError.self) {
      try ConnectionPlan(none, environment: ["TENANCY_ADDRESS": ""])
    }
    #expect(throws: UsageError.self) {
      try ConnectionPlan(none, environment: ["TENANCY_ADDRESS": "a:1", "TENANCY_CA": "x"])
    }
  }

  @Test(arguments: ["0", "-1", "3600.1", "nan"]) func timeouts(text: String) throws {
    let options = try ServerOptions.parse(["--address", "unix:/s", "--timeout=\(text)"])
    #expect(throws: UsageError.self) { try ConnectionPlan(options, environment: [:]) }
  }

  @Test func failures() throws {
    let failure = Failure(
      status: RPCStatus(.permissionDenied, "not yours"),
      info: GoogleRPC.ErrorInfo(reason: "TENANT_MISMATCH"),
      violations: [
        GoogleRPC.BadRequest.FieldViolation(field: "tenant.slug", description: "too long")
      ], hint: "try")
    #expect(
      failure.text == """
        tenantctl: PERMISSION_DENIED (TENANT_MISMATCH): not yours
          tenant.slug: too long
        hint: try

        """)
    #expect(failure.exitCode == 1)
  }

  @Test(arguments: [(RPCStatus.Code.unavailable, Int32(2)), (.deadlineExceeded, 2), (.notFound, 1)])
  func exitCodes(code: RPCStatus.Code, exitCode: Int32) throws {
    let error = CallFailure(
      status: RPCStatus(code, "\u{1b}[2J"), endpoint: .tcp(host: "h", port: 1), timeout: 10)
    let failure = try #require(Failure(error))
    #expect(failure.exitCode == exitCode)
    #expect(!failure.text.contains("\u{1b}"))
    #expect(failure.text.contains("h:1") == (exitCode == 2))
  }

  @Test func othersErrorsAreLeftAlone() {
    #expect(Failure(ExitCode(3)) == nil)
    #expect(Failure(UsageError("x"))?.exitCode == 64)
  }
}
