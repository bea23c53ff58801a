// A bridge on Boost.Beast, to be measured beside websocksy: one io_context on
// one thread, and a buffer of 64 KiB for what the peer sends.
//
//     beast_bridge PORT PEER-PORT binary|newline [CERTIFICATE KEY]

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace ssl = boost::asio::ssl;
namespace websocket = boost::beast::websocket;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t buffer_size = 64 * 1024;
const auto host = asio::ip::make_address("127.0.0.1");

/** A client and its peer; it lives as long as one of its operations. */
template <class Stream>
class Bridge : public std::enable_shared_from_this<Bridge<Stream>> {
  websocket::stream<Stream> client;
  tcp::socket peer;
  const bool newline;
  beast::flat_buffer message;
  std::string data;

 public:
  template <class... Context>
  Bridge(tcp::socket socket, bool newline, Context&... context)
      : client(std::move(socket), context...),
        peer(client.get_executor()),
        newline(newline) {
    client.binary(!newline);
    client.auto_fragment(false);
    if (!newline) data.resize(buffer_size);
  }

  void start(tcp::endpoint address) {
    beast::get_lowest_layer(client).set_option(tcp::no_delay(true));
    peer.async_connect(address, [self = this->shared_from_this()](error_code e) {
      if (e) return;
      self->peer.set_option(tcp::no_delay(true));
      self->secure();
    });
  }

 private:
  void secure() {
    if constexpr (std::is_same_v<Stream, tcp::socket>) {
      accept();
    } else {
      client.next_layer().async_handshake(
          ssl::stream_base::server,
          [self = this->shared_from_this()](error_code e) {
            if (!e) self->accept();
          });
    }
  }

  void accept() {
    client.async_accept([self = this->shared_from_this()](error_code e) {
      if (e) return;
      self->read_client();
      self->read_peer();
    });
  }

  void read_client() {
    client.async_read(message, [self = this->shared_from_this()](error_code e, std::size_t) {
      if (e) return self->peer.close();
      asio::async_write(
          self->peer, self->message.data(), [self](error_code e, std::size_t count) {
            if (e) return;
            self->message.consume(count);
            self->read_client();
          });
    });
  }

  void read_peer() {
    auto write = [self = this->shared_from_this()](error_code e, std::size_t count) {
      if (e == asio::error::eof) {
        return self->client.async_close(websocket::close_code::normal, [self](error_code) {});
      }
      if (e) return;
      self->client.async_write(
          asio::buffer(self->data, count), [self](error_code e, std::size_t count) {
            if (e) return;
            if (self->newline) self->data.erase(0, count);
            self->read_peer();
          });
    };
    if (newline) {
      asio::async_read_until(peer, asio::dynamic_buffer(data), '\n', write);
    } else {
      peer.async_read_some(asio::buffer(data), write);
    }
  }
};

int main(int count, char** arguments) {
  asio::io_context context(1);
  ssl::context tls(ssl::context::tls_server);
  const bool secure = count > 5;
  if (secure) {
    tls.use_certificate_chain_file(arguments[4]);
    tls.use_private_key_file(arguments[5], ssl::context::pem);
  }
  const auto port = [&](int at) { return static_cast<unsigned short>(std::atoi(arguments[at])); };
  const tcp::endpoint address(host, port(2));
  const bool newline = std::string(arguments[3]) == "newline";
  tcp::acceptor acceptor(context, {host, port(1)});
  acceptor.listen(1024);

  std::function<void()> accept = [&] {
    acceptor.async_accept([&](error_code e, tcp::socket socket) {
      if (!e && secure) {
        using Stream = beast::ssl_stream<tcp::socket>;
        std::make_shared<Bridge<Stream>>(std::move(socket), newline, tls)->start(address);
      } else if (!e) {
        std::make_shared<Bridge<tcp::socket>>(std::move(socket), newline)->start(address);
      }
      accept();
    });
  };
  accept();
  context.run();
}
