import Tenancy
import TenancyTestSupport
import Testing

/// The store that other tests use behaves as real ones do.
@Suite struct MemoryStoreTests {
  @Test(arguments: ControlStoreContract.all)
  func keepsItsPromise(_ contract: ControlStoreContract) throws {
    let disk = MemoryLog()
    try contract.check { MemoryStore(disk, isStrict: true) }
  }
}
