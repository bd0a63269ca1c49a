import Testing

@testable import TenancyRPCServer

@Suite("Method table")
struct MethodTableTests {
  private static let paths = [
    "/a.B/C", "/a.B/D", "/a.BC/D", "/aB/C", "/a.b.Service/CreateTenant",
    "/a.b.Service/DeleteTenant",
    "/a.b.Service/UpdateTenant", "/a.c.Service/CreateTenant", "/a.b.Service/Get",
    "/tenancy.v1.TenantResolver/ResolveTenant", "/s/Exactly8", "/s/Sevenxx",
  ]
  private static let table = MethodTable(
    serving: paths.map { path in TestMethod.inline(path: path) { _, _ in } })

  private static func find(_ path: String) -> Int32 {
    Array(path.utf8).withUnsafeBytes { table.find($0) }
  }

  private static func find(_ service: String, _ method: String) -> Int32 {
    Array(service.utf8).withUnsafeBytes { service in
      Array(method.utf8).withUnsafeBytes { table.find(service: service, method: $0) }
    }
  }

  @Test(arguments: paths.indices)
  func findsEachByPathAndByName(index: Int) {
    let path = Self.paths[index]
    #expect(Self.find(path) == Int32(index))
    let names = path.split(separator: "/").map(String.init)
    #expect(Self.find(names[0], names[1]) == Int32(index))
  }

  @Test(arguments: paths)
  func nothingElseIsFound(path: String) {
    for other in [path + "x", String(path.dropLast()), "/" + path, String(path.dropFirst())] {
      #expect(!Self.paths.contains(other) && Self.find(other) == -1)
    }
    let names = path.split(separator: "/").map(String.init)
    #expect(Self.find(names[0] + "/" + names[1], "") == -1)
    #expect(Self.find("", names[0] + "/" + names[1]) == -1)
    #expect(Self.find("/" + names[0], names[1]) == -1)
    #expect(Self.find(names[0] + "x", names[1]) == -1)
    #expect(Self.find(String(names[0].dropLast()), "/" + names[1]) == -1)
  }

  @Test func emptyNamesAreNotFound() {
    #expect(Self.find("") == -1)
    #expect(Self.find("/") == -1)
    #expect(Self.find("", "") == -1)
  }
}
