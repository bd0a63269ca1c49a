import Tenancy
import TenancyRPC
import TenancyWire
import Testing

@Suite("Messages that are read where they lie")
struct MessageViewTests {
  private struct Refusal: Error {
    let reason: WireError
  }

  private func view<Message: WireMessage, Result>(
    _ bytes: [UInt8], as _: Message.Type,
    _ body: (borrowing MessageView<Message>) throws -> Result
  ) throws -> Result {
    try bytes.withUnsafeBytes { bytes in
      try Message.withView(
        of: bytes, arena: Arena(), failure: { Refusal(reason: $0) as any Error }, body)
    }
  }

  private func view<Message: WireMessage, Result>(
    _ message: Message, _ body: (borrowing MessageView<Message>) throws -> Result
  ) throws -> Result {
    try view(message.encode(arena: Arena()), as: Message.self, body)
  }

  @Test func fieldsAreThoseOfTheMessage() throws {
    let request = V1.ResolveTenantRequest(
      path: "/tenants/acme", headers: ["x-tenant-id": "acme", "x-other": "ünder"], token: "abc")
    try view(request) { view in
      let path = try view.path.text.decodedText
      #expect(path == "/tenants/acme")
      let isHostEmpty = view.host.isEmpty
      #expect(isHostEmpty)
      let token = view.token.bytes.decodedText
      #expect(token == "abc")
      var headers: [String: String] = [:]
      for index in 0..<view.headers.count {
        let name = try view.headers.key(index).text.decodedText
        headers[name] = try view.headers.value(index).text.decodedText
      }
      #expect(headers == request.headers)
      let environment = view.environment.count
      #expect(environment == 0)
      let copy = try view.copy()
      #expect(copy == request)
    }
  }

  @Test func listsAreInTheirOrder() throws {
    let items = (0..<300).map {
      V1.BatchCheckItem(subject: "user:\($0)", permission: $0 % 3 == 0 ? "" : "a:\($0)")
    }
    let seen = try view(V1.BatchCheckRequest(tenant: "tenants/acme", items: items)) { view in
      var seen: [V1.BatchCheckItem] = []
      for index in 0..<view.items.count {
        let item = view.items[index]
        seen.append(
          V1.BatchCheckItem(
            subject: item.subject.bytes.decodedText, permission: item.permission.bytes.decodedText))
      }
      return seen
    }
    #expect(seen == items)
    let none = try view(V1.BatchCheckRequest()) { $0.items.count }
    #expect(none == 0)
  }

  @Test(
    arguments: [
      ([0x61, 0xFF], "is not valid UTF-8"), ([0x61, 0x00], "contains a NUL character"),
      ([0xC3], "is not valid UTF-8"), ([0xED, 0xA0, 0x80], "is not valid UTF-8"),
    ] as [([UInt8], String)])
  func whatIsNoTextIsToldUnderTheFieldsName(_ content: [UInt8], _ problem: String) throws {
    let bytes = [0x12, UInt8(content.count)] + content
    try view(bytes, as: V1.CheckRequest.self) { view in
      let raw = view.subject.bytes.byteCount
      #expect(raw == content.count)
      let violation = FieldViolation(field: "subject", description: problem)
      var found: FieldViolation?
      do throws(FieldViolation) { _ = try view.subject.text.byteCount } catch { found = error }
      #expect(found == violation)
    }
  }

  /// A map's entry without its key or value has empty ones, and of two with the same key both are seen.
  @Test func entriesAreSeenAsTheyCame() throws {
    // ResolveFromHeadersRequest.headers is field 1.
    let bytes: [UInt8] = [
      0x0A, 0, 0x0A, 3, 0x12, 1, 0x76, 0x0A, 3, 0x0A, 1, 0x6B, 0x0A, 6, 0x0A, 1, 0x6B, 0x12, 1,
      0x77,
    ]
    let seen = try view(bytes, as: V1.ResolveFromHeadersRequest.self) { view in
      var seen: [[String]] = []
      for index in 0..<view.headers.count {
        seen.append([
          view.headers.key(index).bytes.decodedText, view.headers.value(index).bytes.decodedText,
        ])
      }
      return seen
    }
    #expect(seen == [["", ""], ["", "v"], ["k", ""], ["k", "w"]])
  }

  @Test func whatIsNoMessageIsNotLent() throws {
    var isLent = false
    #expect(throws: Refusal.self) {
      try view([0x0A, 5, 0x61], as: V1.CheckRequest.self) { _ in isLent = true }
    }
    #expect(!isLent)
  }

  @Test func theTenantsNameIsFound() throws {
    let updating = V1.UpdateTenantRequest(tenant: V1.Tenant(name: "tenants/acme"))
    let spec = V1.TenantManager.updateTenant
    #expect(try view(updating) { spec.tenantName(in: $0)?.decodedText } == "tenants/acme")
    #expect(try view(V1.UpdateTenantRequest()) { spec.tenantName(in: $0)?.decodedText } == "")
    let creating = V1.TenantManager.createTenant
    #expect(
      try view(V1.CreateTenantRequest()) { creating.tenantName(in: $0)?.decodedText } == nil)
  }
}
