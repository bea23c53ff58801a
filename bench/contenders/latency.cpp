// The load generator of latency: an echoing peer, and clients that send
// messages of 64 bytes through a bridge at a fixed rate, whether or not the
// earlier ones have come back. A latency counts from the moment at which its
// message was to be sent, so that waiting is part of it.
//
// It prints the port of its peer. Each line on stdin,
//
//     PORT websocket|plain CLIENTS BULK RATE SECONDS
//
// opens so many clients, and BULK (0 or 1) more to which the peer sends without
// a pause; a RATE of 0 makes each client wait for its message and send the
// next. It answers with a line of numbers:
//
//     RATE P50 P99 P99.9 BULK-RATE
//
// messages per second, microseconds, and bytes per second, or with a line that
// begins with "error". One thread has the clients, one the peer, and two the
// bulk connection.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <deque>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using Clock = std::chrono::steady_clock;
using std::chrono::duration;
using std::chrono::nanoseconds;

constexpr std::size_t message_size = 64;
constexpr std::size_t block_size = 64 * 1024;
/** The first byte of a message that asks the peer to send in bulk. */
constexpr char bulk_request = 'B';
constexpr auto connect_pause = std::chrono::milliseconds(1);
/** How long what was sent may take to come back after the last was sent. */
constexpr auto patience = std::chrono::seconds(5);

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + (errno ? std::string(": ") + std::strerror(errno) : ""));
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

void set_no_delay(int socket) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void set_blocking(int socket, bool blocking) {
  const int flags = fcntl(socket, F_GETFL);
  fcntl(socket, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

/** Timers wake a thread within a microsecond of their time instead of 50. */
void wake_on_time() { prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0); }

/** Sends back what arrives, or in bulk to who asks for it. */
class Peer {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int events = epoll_create1(EPOLL_CLOEXEC);

 public:
  int port() {
    auto address = loopback(0);
    socklen_t length = sizeof address;
    if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) < 0 ||
        listen(listener, 4096) < 0)
      fail("Cannot listen");
    getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
    return ntohs(address.sin_port);
  }

  void run() {
    watch(listener);
    std::vector<epoll_event> ready(256);
    for (;;) {
      const int count = epoll_wait(events, ready.data(), static_cast<int>(ready.size()), -1);
      for (int i = 0; i < count; i++) {
        const int socket = ready[i].data.fd;
        if (socket != listener) {
          echo(socket);
        } else if (const int accepted = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
                   accepted >= 0) {
          set_no_delay(accepted);
          watch(accepted);
        }
      }
    }
  }

 private:
  void watch(int socket) {
    epoll_event event{EPOLLIN, {}};
    event.data.fd = socket;
    epoll_ctl(events, EPOLL_CTL_ADD, socket, &event);
  }

  // The sockets block: what is sent back always fits their buffers.
  void echo(int socket) {
    char buffer[block_size];
    const auto count = read(socket, buffer, sizeof buffer);
    if (count > 0 && buffer[0] == bulk_request) {
      epoll_ctl(events, EPOLL_CTL_DEL, socket, nullptr);
      std::thread([socket] {
        const std::vector<char> block(block_size, 'b');
        while (send(socket, block.data(), block.size(), MSG_NOSIGNAL) > 0) {
        }
        close(socket);
      }).detach();
    } else if (count <= 0 || send(socket, buffer, count, MSG_NOSIGNAL) < 0) {
      close(socket);
    }
  }
};

/** A client, and when its messages were to be sent that have not come back. */
class Client {
  const bool websocket;
  /** Bytes of a frame's payload that are still to come. */
  uint64_t rest = 0;
  std::string header;
  uint64_t payload = 0;

 public:
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::deque<Clock::time_point> sent;

  Client(int port, bool websocket) : websocket(websocket) {
    const auto address = loopback(port);
    errno = 0;
    if (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
      fail("Cannot connect");
    set_no_delay(socket);
    if (websocket) upgrade(port);
  }
  Client(const Client&) = delete;
  ~Client() { close(socket); }

  void send(char kind) {
    const auto frame = message(kind);
    errno = 0;
    if (::send(socket, frame.data(), frame.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(frame.size()))
      fail("Cannot send");
  }

  /** Reads once; returns how many messages have come back whole. */
  std::size_t receive(char* buffer, std::size_t size) {
    const auto count = read(socket, buffer, size);
    if (count < 0 && errno == EAGAIN) return 0;
    if (count <= 0) fail("The bridge has ended a connection");
    const auto before = payload / message_size;
    if (websocket) take_frames(buffer, static_cast<std::size_t>(count));
    else payload += count;
    return payload / message_size - before;
  }

 private:
  void upgrade(int port) {
    const std::string request = "GET / HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
        "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    ::send(socket, request.data(), request.size(), MSG_NOSIGNAL);
    std::string head;
    char byte;
    while (head.find("\r\n\r\n") == std::string::npos) {
      if (read(socket, &byte, 1) != 1) fail("Cannot upgrade: no response");
      head += byte;
    }
    errno = 0;
    if (head.rfind("HTTP/1.1 101 ", 0) != 0) fail("Cannot upgrade: " + head.substr(0, head.find('\r')));
  }

  std::string message(char kind) const {
    const std::string text(message_size, kind);
    if (!websocket) return text;
    const unsigned char mask[] = {0x5a, 0xc3, 0x17, 0x9e};
    std::string frame = {char(0x82), char(0x80 | message_size)};
    frame.append(reinterpret_cast<const char*>(mask), 4);
    for (std::size_t i = 0; i < message_size; i++) frame += char(text[i] ^ mask[i & 3]);
    return frame;
  }

  void take_frames(const char* data, std::size_t length) {
    for (std::size_t at = 0; at < length;) {
      if (rest > 0) {
        const auto taken = std::min<uint64_t>(rest, length - at);
        at += taken;
        rest -= taken;
        payload += taken;
        continue;
      }
      header += data[at++];
      const auto byte = [&](std::size_t i) { return uint64_t(static_cast<unsigned char>(header[i])); };
      if (header.size() < 2) continue;
      const auto size = byte(1) < 126 ? 0U : byte(1) == 126 ? 2U : 8U;
      if (header.size() < 2 + size) continue;
      rest = size == 0 ? byte(1) : 0;
      for (std::size_t i = 0; i < size; i++) rest = rest << 8 | byte(2 + i);
      errno = 0;
      if ((byte(0) & 15) > 2) fail("The bridge has sent a control frame");
      header.clear();
    }
  }
};

/** A connection in bulk, in a thread of its own, until it is destroyed. */
class Bulk {
  Client client;
  std::atomic<uint64_t> received{0};
  std::thread reader;

 public:
  Bulk(int port, bool websocket) : client(port, websocket) {
    client.send(bulk_request);
    reader = std::thread([this] {
      std::vector<char> buffer(4 * block_size);
      ssize_t count;
      while ((count = read(client.socket, buffer.data(), buffer.size())) > 0) received += count;
    });
  }
  ~Bulk() {
    shutdown(client.socket, SHUT_RDWR);
    reader.join();
  }
  uint64_t bytes() const { return received; }
};

class Load {
  std::vector<std::unique_ptr<Client>> clients;
  std::unique_ptr<Bulk> bulk;
  int events = epoll_create1(EPOLL_CLOEXEC);
  std::vector<epoll_event> ready = std::vector<epoll_event>(1024);
  std::vector<char> buffer = std::vector<char>(block_size);

 public:
  Load(int port, bool websocket, std::size_t count, bool with_bulk) {
    while (clients.size() < count) {
      clients.push_back(std::make_unique<Client>(port, websocket));
      set_blocking(clients.back()->socket, false);
      epoll_event event{EPOLLIN, {}};
      event.data.ptr = clients.back().get();
      epoll_ctl(events, EPOLL_CTL_ADD, clients.back()->socket, &event);
      // Some bridges lose connections that arrive in a burst.
      if (count > 100) std::this_thread::sleep_for(connect_pause);
    }
    if (with_bulk) bulk = std::make_unique<Bulk>(port, websocket);
  }
  ~Load() { close(events); }

  std::string run(double rate, double seconds) {
    const auto begin = Clock::now();
    // What is sent in the first part is not counted: it finds the bridge asleep.
    const auto counted = begin + length(seconds / 5);
    const auto end = begin + length(seconds);
    std::vector<double> latencies;
    uint64_t outstanding = 0;
    uint64_t number = 0;
    uint64_t bulk_before = 0;
    auto due = begin;
    const auto send = [&](Client& client, Clock::time_point when) {
      client.sent.push_back(when);
      client.send('m');
      outstanding++;
    };
    if (rate == 0) {
      for (auto& client : clients) send(*client, Clock::now());
    }
    for (auto now = begin; now < end || outstanding > 0; now = Clock::now()) {
      if (now > end + patience) {
        errno = 0;
        fail("The bridge cannot keep the rate");
      }
      if (bulk && bulk_before == 0 && now >= counted) bulk_before = bulk->bytes();
      for (; rate > 0 && due <= now && due < end; due = begin + length(number / rate)) {
        send(*clients[number++ % clients.size()], due);
      }
      const auto wait = rate > 0 && due < end ? due - Clock::now() : nanoseconds(100'000'000);
      const timespec timeout{0, std::clamp<long>(nanoseconds(wait).count(), 0, 999'999'999)};
      const int count = epoll_pwait2(events, ready.data(), static_cast<int>(ready.size()), &timeout, nullptr);
      const auto arrived = Clock::now();
      for (int i = 0; i < count; i++) {
        auto& client = *static_cast<Client*>(ready[i].data.ptr);
        for (auto back = client.receive(buffer.data(), buffer.size()); back > 0; back--) {
          const auto when = client.sent.front();
          client.sent.pop_front();
          outstanding--;
          if (when >= counted && when < end) latencies.push_back(duration<double>(arrived - when).count() * 1e6);
          if (rate == 0 && arrived < end) send(client, arrived);
        }
      }
    }
    const double measured = seconds * 4 / 5;
    const double bulk_rate = bulk ? (bulk->bytes() - bulk_before) / measured : 0;
    std::sort(latencies.begin(), latencies.end());
    errno = 0;
    if (latencies.empty()) fail("Nothing came back");
    std::ostringstream line;
    line << latencies.size() / measured;
    for (const double share : {0.5, 0.99, 0.999}) {
      line << ' ' << latencies[static_cast<std::size_t>(share * (latencies.size() - 1))];
    }
    line << ' ' << bulk_rate;
    return line.str();
  }

 private:
  static nanoseconds length(double seconds) { return nanoseconds(static_cast<int64_t>(seconds * 1e9)); }
};

int main() {
  std::signal(SIGPIPE, SIG_IGN);
  wake_on_time();
  Peer peer;
  std::cout << peer.port() << std::endl;
  std::thread([&] { peer.run(); }).detach();
  std::string line;
  while (std::getline(std::cin, line)) {
    int port = 0, bulk = 0;
    std::size_t clients = 0;
    double rate = 0, seconds = 0;
    std::string kind;
    std::istringstream(line) >> port >> kind >> clients >> bulk >> rate >> seconds;
    try {
      Load load(port, kind == "websocket", clients, bulk == 1);
      std::cout << load.run(rate, seconds) << std::endl;
    } catch (const std::exception& error) {
      std::cout << "error " << error.what() << std::endl;
    }
  }
  _exit(0);
}
