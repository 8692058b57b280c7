// The workshop screen: follows the live stream, answers taps, keeps clocks running. Everything shown comes rendered.
"use strict";

(() => {
  const ANSWER_MS = 6000; // how long an answer to a tap stays
  const STALE_MS = 10000; // an answer older than this is history, not an answer
  const SILENCE_MS = 25000; // no word from the kiosk for this long: the connection is lost
  const at = (id) => document.getElementById(id);
  const body = document.body;

  // --- The domain's clock: what the kiosk last said, carried on at the rate at which it was seen to run.
  let said = Number(body.dataset.now);
  let heard = performance.now();
  let anchor = null;
  let rate = 1;
  const now = () => said + (performance.now() - heard) * rate;

  function hearTime(ms) {
    const moment = performance.now();
    if (anchor !== null && moment - anchor.moment > 2000) {
      const seen = (ms - anchor.ms) / (moment - anchor.moment);
      rate = Math.abs(seen - 1) < 0.25 || seen < 0 || seen > 10000 ? 1 : seen; // a demo runs faster; a corrected clock does not
      anchor = { moment, ms };
    } else if (anchor === null) {
      anchor = { moment, ms };
    }
    said = ms;
    heard = moment;
  }

  const two = (number) => String(number).padStart(2, "0");

  function tick() {
    const local = new Date(now() + Number(body.dataset.offset));
    at("clock").textContent = `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}`;
    for (const each of document.querySelectorAll(".ticking")) {
      const minutes = Math.max(0, Math.floor((now() - Number(each.dataset.since)) / 60000));
      each.textContent = `${Math.floor(minutes / 60)}:${two(minutes % 60)}`;
    }
  }

  // --- Sound. The kiosk browser starts with autoplay allowed; elsewhere the first touch allows it.
  let audio = null;
  function tone(frequency, from, length, shape) {
    const start = audio.currentTime + from;
    const voice = audio.createOscillator();
    const level = audio.createGain();
    voice.type = shape;
    voice.frequency.value = frequency;
    level.gain.setValueAtTime(0, start);
    level.gain.linearRampToValueAtTime(0.4, start + 0.015);
    level.gain.setValueAtTime(0.4, start + length - 0.03);
    level.gain.linearRampToValueAtTime(0, start + length);
    voice.connect(level).connect(audio.destination);
    voice.start(start);
    voice.stop(start + length);
  }
  const SOUNDS = {
    in: [[660, 0, 0.14, "triangle"], [990, 0.15, 0.24, "triangle"]],
    observer: [[660, 0, 0.14, "triangle"], [990, 0.15, 0.24, "triangle"]],
    out: [[880, 0, 0.14, "triangle"], [587, 0.15, 0.24, "triangle"]],
    tell: [[660, 0, 0.2, "triangle"]],
    no: [[150, 0, 0.5, "sawtooth"]],
  };
  function play(kind) {
    try {
      audio ??= new AudioContext();
      if (audio.state === "suspended") audio.resume();
      for (const each of SOUNDS[kind] ?? []) tone(...each);
    } catch {
      audio = null; // a machine without sound still answers by colour, icon and text
    }
  }

  // --- What the stream says.
  let over = 0;
  function hide() {
    clearTimeout(over);
    at("answer").hidden = true;
  }
  function answer(event) {
    if (event.age_ms / rate > STALE_MS) return;
    const place = at("answer");
    place.className = `answer ${event.kind}`;
    place.lang = event.language;
    place.innerHTML = event.html;
    place.hidden = false;
    play(event.kind);
    clearTimeout(over);
    over = setTimeout(hide, ANSWER_MS);
  }
  function board(event) {
    hearTime(event.now_ms);
    at("board").innerHTML = event.html;
    at("latest").innerHTML = event.latest;
    body.dataset.offset = event.offset_ms;
    tick();
  }
  function status(event) {
    hearTime(event.now_ms);
    at("alarm").hidden = event.recording;
    at("why").innerHTML = event.reason;
    at("marks").innerHTML = event.marks;
  }

  // --- The stream itself. The browser connects again by itself and says what it saw last.
  let silence = 0;
  let stream = null;
  function lively() {
    at("lost").hidden = true;
    clearTimeout(silence);
    silence = setTimeout(() => { // half-open connections say nothing at all
      at("lost").hidden = false;
      listen();
    }, SILENCE_MS);
  }
  let last = body.dataset.after;
  function listen() {
    if (stream !== null) stream.close();
    const query = new URLSearchParams({ after: last });
    if (body.dataset.screen) query.set("screen", body.dataset.screen);
    stream = new EventSource(`feed?${query}`);
    const on = (name, act) => stream.addEventListener(name, (message) => {
      if (message.lastEventId) last = message.lastEventId;
      lively();
      act(JSON.parse(message.data));
    });
    on("tap", answer);
    on("board", board);
    on("status", status);
    stream.onopen = lively;
    stream.onerror = () => {
      at("lost").hidden = false;
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 3000); // refused for now: too many streams
    };
  }

  at("answer").addEventListener("click", hide);
  setInterval(tick, 500);
  tick();
  listen();
})();
