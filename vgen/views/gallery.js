"use strict";
{
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const shots = () => all(".shot");
  const viewer = $("#viewer"), screen_ = $("#screen"), help = $("#help");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const shown = () => all(".bin > li:not([hidden]) > .shot");
  const tell = (text) => { $("#told").textContent = text; };
  const more = { act: () => undefined }; // what another script of the page adds: `act` answers keys first
  document.documentElement.classList.add("js");

  // ── playing: one clip at a time; a clip that stops gives its decoder back and shows its poster ──

  let playing = null; // { frame, pinned }: pinned by a click or a key, not only hovered
  const sources = new WeakMap(); // video → the address of its file

  const release = (video) => {
    video.pause();
    if (video.hasAttribute("poster")) {
      video.removeAttribute("src");
      video.load();
    }
  };

  const stop = () => {
    endRow();
    if (!playing) return;
    const frame = playing.frame;
    playing = null;
    release($("video", frame));
    $(".play", frame).setAttribute("aria-pressed", "false");
  };

  const fails = (frame) => {
    frame.dataset.fault = "cannot be played: is its file still there?";
    tell(`${$("video", frame).getAttribute("aria-label")} ${frame.dataset.fault}`);
  };

  const play = (frame, pinned) => {
    if (playing?.frame === frame) { playing.pinned ||= pinned; return; }
    stop();
    playing = { frame, pinned };
    $(".play", frame).setAttribute("aria-pressed", "true");
    const video = $("video", frame);
    if (!video.hasAttribute("src")) video.src = sources.get(video);
    video.play().catch((fault) => {
      if (fault.name === "AbortError" || playing?.frame !== frame) return;
      stop();
      fails(frame);
    });
  };

  const toggle = (frame) => { // the first click on a clip that plays because it is hovered keeps it playing
    if (playing?.frame === frame && playing.pinned) stop(); else play(frame, true);
  };

  const wireFrame = (frame) => {
    sources.set($("video", frame), $("video", frame).getAttribute("src"));
    $("video", frame).controls = false;
    $("video", frame).addEventListener("playing", () => { delete frame.dataset.fault; });
    frame.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse" && !calm.matches && !row) play(frame, false);
    });
    frame.addEventListener("pointerleave", () => {
      if (playing?.frame === frame && !playing.pinned) stop();
    });
    $(".play", frame).addEventListener("click", () => toggle(frame));
    $(".open", frame).addEventListener("click", () => show(frame));
  };

  // ── a row of takes: all play in step with the longest, and begin again when it ends; pausing keeps the place ──

  const APART_S = 0.1; // two pictures at 24 a second are not seen as apart
  let row = null; // { takes, all, videos, ready, going, over }: `videos` are those of `all` that can be played

  const endRow = () => {
    if (!row) return;
    const ended = row;
    row = null;
    ended.over.abort();
    for (const video of ended.all) {
      video.loop = true;
      video.preload = video.hasAttribute("poster") ? "none" : "metadata";
      release(video);
    }
    shows(ended.takes, false);
  };

  const shows = (takes, going) => {
    takes.classList.toggle("playing", going);
    $(".together", takes).setAttribute("aria-pressed", String(going));
  };

  const longest = () => row.videos.reduce((most, video) => (video.duration > most.duration ? video : most));

  const keepStep = () => { // a take that is over waits at its end
    if (!row?.ready || !row.videos.length) return;
    const at = longest().currentTime;
    for (const video of row.videos) {
      const to = Math.min(at, video.duration);
      if (Math.abs(video.currentTime - to) > APART_S) video.currentTime = to;
      if (row.going && video.paused && at < video.duration) video.play().catch(() => {});
    }
  };

  const setGoing = (going) => {
    row.going = going;
    shows(row.takes, going);
    if (!going) for (const video of row.videos) video.pause();
    keepStep();
  };

  const startRow = (takes) => {
    stop();
    takes.open = true;
    const mine = row = { takes, all: all(".take video", takes), ready: false, going: true, over: new AbortController() };
    mine.videos = mine.all;
    const signal = mine.over.signal;
    const ready = mine.all.map((video) => new Promise((done) => {
      const frame = video.closest(".frame");
      delete frame.dataset.fault;
      video.loop = false;
      video.muted = true;
      video.preload = "auto";
      if (!video.hasAttribute("src")) video.src = sources.get(video);
      video.currentTime = 0;
      video.addEventListener("timeupdate", () => { if (video === longest()) keepStep(); }, { signal });
      video.addEventListener("ended", () => {
        if (video !== longest() || !mine.going) return;
        for (const one of mine.videos) one.currentTime = 0;
        keepStep();
      }, { signal });
      video.addEventListener("canplay", done, { signal });
      video.addEventListener("error", () => {
        mine.videos = mine.videos.filter((one) => one !== video);
        fails(frame);
        done();
      }, { signal });
      if (video.readyState >= video.HAVE_FUTURE_DATA) done();
    }));
    shows(takes, true);
    Promise.all(ready).then(() => {
      if (row !== mine) return;
      mine.ready = true;
      if (!mine.videos.length) stop(); else keepStep();
    });
  };

  const toggleRow = (takes) => {
    if (row?.takes === takes) setGoing(!row.going); else startRow(takes);
  };

  const wireTakes = (takes) => {
    $(".together", takes)?.addEventListener("click", () => toggleRow(takes));
    takes.addEventListener("toggle", () => { if (!takes.open && row?.takes === takes) stop(); });
  };

  // ── the large view ──

  let viewed = null;

  const show = (frame) => {
    stop();
    viewed = frame;
    const video = $("video", frame), label = video.getAttribute("aria-label");
    $("#viewed").textContent = label[0].toUpperCase() + label.slice(1);
    const told = all(".reason, .label, .prompt, .facts, .small", frame.closest(".take") ?? $(".text", frame.parentElement));
    $("#caption").replaceChildren(...told.map((part) => part.cloneNode(true)));
    screen_.style.setProperty("--ratio", video.width && video.height ? video.width / video.height : null);
    screen_.src = sources.get(video);
    screen_.poster = video.poster;
    if (!viewer.open) viewer.showModal();
    if (!calm.matches) screen_.play().catch(() => {});
  };

  const turn = (by) => {
    const films = shown().filter((shot) => $(":scope > .frame video", shot));
    const next = films[films.indexOf(viewed.closest(".shot")) + by];
    if (next) show($(".frame", next));
  };

  viewer.addEventListener("close", () => {
    screen_.pause();
    screen_.removeAttribute("src");
    screen_.load();
    viewed?.closest(".shot").focus();
  });
  for (const button of all("[data-turn]")) button.addEventListener("click", () => turn(+button.dataset.turn));
  for (const button of all("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
  for (const dialog of [viewer, help]) {
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  }
  $("#keys").addEventListener("click", () => help.showModal());

  // ── filter and order ──

  const filter = $("#filter"), provider = $("#provider"), order = $("#order"), chips = () => all(".chip");
  const words = new WeakMap(); // shot → its text, in small letters
  let marks = new Map(); // id of a shot → its place in the timeline
  const wireTimeline = () => {
    marks = new Map(all(".timeline a").map((link) => [link.hash.slice(1), link.parentElement]));
    for (const mark of marks.values()) mark.style.flexGrow = mark.dataset.s;
  };

  const sift = (quietly = false) => {
    const statuss = chips().filter((chip) => chip.getAttribute("aria-pressed") === "true").map((chip) => chip.dataset.status);
    const wanted = filter.value.toLowerCase().split(/\s+/);
    let count = 0;
    for (const shot of shots()) {
      const fits = (!statuss.length || statuss.includes(shot.dataset.status))
        && (!provider?.value || shot.dataset.provider === provider.value)
        && wanted.every((word) => words.get(shot).includes(word));
      shot.parentElement.hidden = !fits;
      marks.get(shot.id).classList.toggle("aside", !fits);
      count += fits;
    }
    if ((playing?.frame ?? row?.takes)?.closest("[hidden]")) stop();
    $("#none").hidden = count > 0;
    if (!quietly) tell(`${count} of ${shots().length} shots`);
  };

  const keys = {
    shot: (shot) => +shot.dataset.shot,
    price: (shot) => -shot.dataset.price,
    time: (shot) => -shot.dataset.time,
    status: (shot) => -shot.dataset.rank,
  };
  const arrange = () => {
    stop();
    const key = keys[order.value];
    const sorted = shots().sort((a, b) => key(a) - key(b) || keys.shot(a) - keys.shot(b));
    $(".bin").append(...sorted.map((shot) => shot.parentElement));
    tell(`Sorted by ${order.selectedOptions[0].text}`);
  };

  const showAll = () => {
    filter.value = "";
    if (provider) provider.value = "";
    for (const chip of chips()) chip.setAttribute("aria-pressed", "false");
    sift();
  };

  $(".chips").addEventListener("click", (event) => {
    const chip = event.target.closest(".chip");
    if (!chip) return;
    chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
    sift();
  });
  filter.addEventListener("input", () => sift());
  provider?.addEventListener("change", () => sift());
  order.addEventListener("change", arrange);
  $("#all").addEventListener("click", () => { showAll(); filter.focus(); });
  document.addEventListener("click", (event) => { // links from shot to shot, and those of the timeline
    const shot = document.getElementById(event.target.closest("a[href^='#shot-']")?.hash.slice(1));
    if (!shot) return;
    event.preventDefault();
    if (shot.parentElement.hidden) showAll();
    go(shot);
  });

  // ── copying a command ──

  const copy = async (button) => {
    const code = $("code", button.parentElement);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.classList.add("done");
      tell(`Copied ${code.textContent}`);
    } catch {
      getSelection().selectAllChildren(code);
      tell("Selected; copy it with your keyboard");
    }
  };
  const wire = (shot) => {
    for (const frame of all(".frame:not(.empty)", shot)) wireFrame(frame);
    for (const takes of all(".takes", shot)) wireTakes(takes);
    for (const button of all(".copy", shot)) button.addEventListener("click", () => copy(button));
    words.set(shot, shot.textContent.toLowerCase());
  };
  for (const shot of shots()) wire(shot);
  wireTimeline();

  // ── keys ──

  const go = (shot) => {
    shot.focus({ preventScroll: true });
    shot.scrollIntoView({ block: "nearest", behavior: calm.matches ? "auto" : "smooth" });
  };

  const step = (by) => {
    const list = shown(), here = list.indexOf(document.activeElement.closest(".shot"));
    const next = here < 0 ? list[by > 0 ? 0 : list.length - 1] : list[here + by];
    if (next) go(next);
  };

  const nextRow = (by) => {
    const here = document.activeElement.getBoundingClientRect();
    const far = (shot) => {
      const there = shot.getBoundingClientRect();
      const down = by * (there.top - here.top);
      return down > 1 ? down * 1e4 + Math.abs(there.left - here.left) : Infinity;
    };
    const next = shown().reduce((best, shot) => (far(shot) < far(best) ? shot : best));
    if (far(next) < Infinity) go(next);
  };

  const moves = { j: () => step(1), k: () => step(-1) };
  const onShot = {
    ArrowRight: () => step(1),
    ArrowLeft: () => step(-1),
    ArrowDown: () => nextRow(1),
    ArrowUp: () => nextRow(-1),
    " ": (shot) => { const frame = $(":scope > .frame:not(.empty)", shot); if (frame) toggle(frame); },
    Enter: (shot) => { const frame = $(":scope > .frame:not(.empty)", shot); if (frame) show(frame); },
    a: (shot) => { const button = $(".together", shot); if (button) toggleRow(button.parentElement); },
    t: (shot) => { const takes = $(".takes", shot); if (takes) takes.open = !takes.open; },
  };

  const act = (event) => {
    const at = document.activeElement, added = more.act(event, at);
    if (added !== undefined) return added;
    if (viewer.open) return { j: () => turn(1), k: () => turn(-1) }[event.key];
    if (help.open) return undefined;
    if (at.matches("input, select")) {
      return at === filter && event.key === "Escape" ? () => { showAll(); filter.blur(); } : undefined;
    }
    if (event.key === "/") return () => { filter.focus(); filter.select(); };
    if (event.key === "?") return () => help.showModal();
    if (event.key === "a" && at.closest(".shot")) return () => onShot.a(at.closest(".shot"));
    if (at.matches(".shot") && event.key in onShot) return () => onShot[event.key](at);
    return moves[event.key];
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const does = act(event);
    if (!does) return;
    event.preventDefault();
    does();
  });

  // ── for a page that changes while it is open ──

  const swap = (fresh) => { // a shot as it is now takes its own place
    const old = document.getElementById(fresh.id), held = old.contains(document.activeElement);
    const at = held && document.activeElement.dataset.at;
    if ((playing?.frame ?? row?.takes) && old.contains(playing?.frame ?? row.takes)) stop();
    if ($(".takes", fresh) && $(".takes", old)?.open) $(".takes", fresh).open = true;
    old.replaceWith(fresh);
    wire(fresh);
    if (held) (at && $(`[data-at="${CSS.escape(at)}"]:not([disabled])`, fresh) || fresh).focus({ preventScroll: true });
    return fresh;
  };
  globalThis.gallery = { more, tell, stop, go, step, nextRow, showAll, shown, swap, sift, wireTimeline, viewer, help, turn, viewed: () => viewed };
}
