import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyWorkload

/// Which processes match, and what is read of them.
struct AttestationTests {
  private static let web = Program(
    path: "/bin/web", file: FileIdentity(device: 1, inode: 2))
  private let process = AttestedProcess(
    userID: 7, groupID: 8, program: web, unit: "web.service")

  private func matches(
    _ selectors: WorkloadEntry.Selectors, node: String? = "n",
    file: FileIdentity? = web.file
  ) -> Bool { process.matches(selectors, node: node) { $0 == "/bin/web" ? file : nil } }

  @Test func allThatIsGivenMustMatch() {
    let all = WorkloadEntry.Selectors(
      userID: 7, groupID: 8, binaryPath: "/bin/web", systemdUnit: "web.service", node: "n")
    #expect(matches(all) && matches(.init(userID: 7)) && matches(.init(binaryPath: "/bin/web")))
    for change: (inout WorkloadEntry.Selectors) -> Void in [
      { $0.userID = 0 }, { $0.groupID = 7 }, { $0.binaryPath = "/bin/we" },
      { $0.systemdUnit = "web.scope" }, { $0.node = "N" },
    ] {
      var selectors = all
      change(&selectors)
      #expect(!matches(selectors), "\(selectors)")
    }
  }

  @Test func noneMatchesEverybody() {
    #expect(!matches(.init()) && !matches(.init(groupID: 8)) && !matches(.init(node: "n")))
  }

  @Test func aFileOfTheNameIsNotEnough() {
    let selectors = WorkloadEntry.Selectors(userID: 7, binaryPath: "/bin/web")
    #expect(!matches(selectors, file: FileIdentity(device: 1, inode: 3)))
    #expect(!matches(selectors, file: FileIdentity(device: 2, inode: 2)))
    #expect(!matches(selectors, file: nil))
  }

  @Test func whatIsNotKnownMatchesNothing() {
    let unknown = AttestedProcess(userID: 7, groupID: 8, program: nil, unit: nil)
    func matches(_ selectors: WorkloadEntry.Selectors) -> Bool {
      unknown.matches(selectors, node: nil) { _ in Self.web.file }
    }
    #expect(matches(.init(userID: 7)))
    #expect(!matches(.init(userID: 7, binaryPath: "/bin/web")))
    #expect(!matches(.init(userID: 7, systemdUnit: "web.service")))
    #expect(!matches(.init(userID: 7, node: "n")))
  }

  /// Composed and decomposed, they are the same to Swift and not to the system.
  @Test func pathsAreComparedByTheirBytes() {
    let program = Program(path: "/bin/\u{E9}", file: Self.web.file)
    let process = AttestedProcess(userID: 7, groupID: 8, program: program, unit: nil)
    #expect(process.matches(.init(binaryPath: "/bin/\u{E9}"), node: nil) { _ in Self.web.file })
    #expect(!process.matches(.init(binaryPath: "/bin/e\u{301}"), node: nil) { _ in Self.web.file })
  }

  // MARK: Units

  @Test(arguments: [
    ("0::/system.slice/web.service", "web.service"),
    ("0::/system.slice/web.service/child", "web.service"),
    ("0::/a.slice/a-b.slice/web@1.service\n", "web@1.service"),
    ("0::/init.scope", "init.scope"),
    // What users' managers make is in the unit of the manager, whatever they call it.
    ("0::/user.slice/user-7.slice/user@7.service/app.slice/web.service", "user@7.service"),
    ("0::/user.slice/user-7.slice/session-2.scope", "session-2.scope"),
    ("12:cpu:/x\n1:name=systemd:/system.slice/web.service\n", "web.service"),
    ("0::/system.slice/docker-1.scope/system.slice/web.service", "docker-1.scope"),
  ])
  func unitsAreTheSystems(_ text: String, _ unit: String) {
    #expect(ControlGroup.unit(in: text) == unit)
  }

  @Test(arguments: [
    "", "0::/", "0::/../web.service", "0::/docker/web.service", "0::/system.slice",
    "1:cpu:/system.slice/web.service", "0:name:/system.slice/web.service", "0::",
    "1:name=systemd2:/system.slice/web.service", "web.service", "0::/a b.service",
    "0::/.service",
  ])
  func othersAreNone(_ text: String) {
    #expect(ControlGroup.unit(in: text) == nil)
  }

  // MARK: Processes

  @Test(arguments: [
    ("1 (web) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9", 4711 as UInt64?),
    ("1 (a) R (b) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9", 4711),
    ("1 () 99 (x) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9", 4711),
    // A letter that makes one character with what follows.
    ("1 (\u{70F}) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9", 4711),
    ("1 (web) S 0 1", nil), ("", nil), ("1 web", nil),
    ("1 (web) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 -1 9", nil),
  ])
  func startTimesAreReadBehindTheName(_ text: String, _ time: UInt64?) {
    #expect(ProcDirectory.startTime(in: text) == time)
  }

  /// Its number is another process's before all is read.
  @Test func whatIsReadWhileAProcessEndsIsNotIts() {
    let process = FakeProcess(program: Self.web, unit: "web.service")
    func attest() -> AttestedProcess? {
      process.attest(userID: 7, groupID: 8) { $0 == "/bin/web" }
    }
    #expect(attest() == self.process)
    process.change { $0.onLook = { process in process.change { $0.isSame = false } } }
    #expect(attest() == nil)
    process.change { $0.onLook = nil }
    #expect(attest() == nil)
  }

  @Test func programsThatNobodyAsksForAreNotLookedAt() {
    let process = FakeProcess(program: Self.web)
    let found = process.attest(userID: 7, groupID: 8) { _ in false }
    #expect(found != nil && found?.program == nil)
  }
}
