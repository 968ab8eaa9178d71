// Draws a glTF model with three.js. Decoders come from our own address; nothing is fetched from elsewhere.

import {
  AnimationMixer, Box3, NeutralToneMapping, PerspectiveCamera, PMREMGenerator, Scene, Sphere, Spherical, Timer, Vector3, WebGLRenderer,
} from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import { RoomEnvironment } from "three/examples/jsm/environments/RoomEnvironment.js";
import { MeshoptDecoder } from "three/examples/jsm/libs/meshopt_decoder.module.js";
import { DRACOLoader } from "three/examples/jsm/loaders/DRACOLoader.js";
import { type GLTF, GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";

const VIEW = 40; // degrees, from the lower edge to the upper
const TURN = Math.PI / 16;
const CLOSER = 0.85;
const KEYS: Record<string, [around: number, over: number, distance: number]> = {
  ArrowLeft: [-TURN, 0, 1], ArrowRight: [TURN, 0, 1], ArrowUp: [0, -TURN, 1], ArrowDown: [0, TURN, 1],
  "+": [0, 0, CLOSER], "=": [0, 0, CLOSER], "-": [0, 0, 1 / CLOSER],
};

export interface Viewer {
  /** Whether the model has a motion of its own. */
  moves: boolean;
  play(isOn: boolean): void;
  remove(): void;
}

/** Show the model at *url* in *box*. Rejects when there is no WebGL, or no such model. */
export async function show(box: HTMLElement, url: string, name: string): Promise<Viewer> {
  const stage = new Stage(box, name);
  try {
    stage.enter(await modelAt(url));
  } catch (error) {
    stage.remove();
    throw error;
  }
  return stage;
}

async function modelAt(url: string): Promise<GLTF> {
  const own = new URL(/* @vite-ignore */ "./", import.meta.url).href;
  const draco = new DRACOLoader().setDecoderPath(own);
  try {
    return await new GLTFLoader().setDRACOLoader(draco).setMeshoptDecoder(MeshoptDecoder).loadAsync(url);
  } finally {
    draco.dispose();
  }
}

/** The model in an even light, and who looks at it. It is drawn when something has changed. */
class Stage implements Viewer {
  moves = false;
  private readonly renderer = new WebGLRenderer({ alpha: true, antialias: true });
  private readonly scene = new Scene();
  private readonly camera = new PerspectiveCamera(VIEW);
  private readonly controls: OrbitControls;
  private readonly watcher: ResizeObserver;
  private readonly timer = new Timer();
  private mixer: AnimationMixer | null = null;
  private isPlaying = false;
  private frame = 0;

  constructor(private readonly box: HTMLElement, name: string) {
    const canvas = this.renderer.domElement;
    this.renderer.toneMapping = NeutralToneMapping;
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.scene.environment = new PMREMGenerator(this.renderer).fromScene(new RoomEnvironment(), 0.04).texture;
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.addEventListener("change", this.plan);
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", `${name}, a 3D model: the arrow keys turn it, plus and minus bring it closer`);
    canvas.style.touchAction = "pan-y"; // a finger that moves up or down moves the page
    canvas.addEventListener("keydown", this.key);
    box.append(canvas);
    this.watcher = new ResizeObserver(this.fit);
    this.watcher.observe(box);
  }

  /** Put the model into the middle, and look at it from a place that shows all of it. */
  enter(model: GLTF): void {
    const { center, radius } = new Box3().setFromObject(model.scene).getBoundingSphere(new Sphere());
    if (!(radius > 0)) throw new Error("there is nothing in it");
    this.scene.add(model.scene);
    const far = radius / Math.sin((VIEW / 2) * (Math.PI / 180));
    this.camera.near = far / 1000;
    this.camera.far = far * 20;
    this.camera.position.copy(center).add(new Vector3(0.35, 0.25, 1).setLength(far * 1.05));
    Object.assign(this.controls, { minDistance: radius / 20, maxDistance: far * 5 });
    this.controls.target.copy(center);
    this.controls.update();
    const [motion] = model.animations;
    if (motion) {
      this.mixer = new AnimationMixer(model.scene);
      this.mixer.clipAction(motion).play();
      this.moves = true;
    }
    this.fit();
  }

  play(isOn: boolean): void {
    this.isPlaying = isOn && this.mixer !== null;
    this.timer.update();
    this.plan();
  }

  remove(): void {
    cancelAnimationFrame(this.frame);
    this.watcher.disconnect();
    this.controls.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss(); // a page may hold only some of them
    this.renderer.domElement.remove();
  }

  private readonly fit = (): void => {
    const { clientWidth: width, clientHeight: height } = this.box;
    if (!width || !height) return;
    this.camera.aspect = width / height;
    this.camera.zoom = Math.min(1, width / height); // a narrow box shows all of it too
    this.camera.updateProjectionMatrix();
    this.renderer.setSize(width, height, false);
    this.draw();
  };

  private readonly plan = (): void => {
    this.frame ||= requestAnimationFrame(this.draw);
  };

  private readonly draw = (): void => {
    this.frame = 0;
    if (this.isPlaying) this.mixer?.update(this.timer.update().getDelta());
    this.renderer.render(this.scene, this.camera);
    if (this.isPlaying) this.plan();
  };

  private readonly key = (event: KeyboardEvent): void => {
    const move = event.ctrlKey || event.metaKey || event.altKey ? undefined : KEYS[event.key];
    if (!move) return;
    event.preventDefault();
    const { minDistance, maxDistance, target } = this.controls;
    const place = new Spherical().setFromVector3(this.camera.position.clone().sub(target));
    place.theta += move[0];
    place.phi += move[1];
    place.radius = Math.min(maxDistance, Math.max(minDistance, place.radius * move[2]));
    this.camera.position.setFromSpherical(place.makeSafe()).add(target);
    this.controls.update();
  };
}
